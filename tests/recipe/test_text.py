"""Overrides as text: each value is read as its key asks, whatever the text looks like."""

from __future__ import annotations

from typing import Any

import pytest

from tenfold.errors import RecipeError
from tenfold.recipe import Recipe, text


@pytest.mark.parametrize("source", [
    "😀", "shapes:train=200,test=60", "true", "3", "none", '"digits"', "[a]", "folder:C:\\data", " spaced ", "a=b", "",
])
def test_text_settings_keep_their_text_unchanged(source: str) -> None:
    assert text.recipe({}, [f"data.source={source}"]).data.source == source


@pytest.mark.parametrize(("word", "value"), [
    ("data.classes=cat,dog,ship", ["cat", "dog", "ship"]),
    ("data.classes=3, 8", ["3", "8"]),
    ("data.classes=cat", ["cat"]),
    ('data.classes=["cat", "a,b"]', ["cat", "a,b"]),
    ("data.classes=[3, 8]", ["3", "8"]),
    ("data.classes=", []),
    ("data.train_size=none", None),
    ("data.train_size=1_000", 1000),
    ("data.validation=0.25", 0.25),
    ("data.validation=300", 300),
    ("model.filters=8,16", [8, 16]),
    ("model.filters=8", [8]),
    ("model.activation=tanh", "tanh"),
    ("train.epochs=1e1", 10),
    ("train.learning_rate=.001", 0.001),
    ("train.learning_rate=1", 1.0),
    ("train.class_weights=balanced", "balanced"),
    ("train.class_weights={cat = 2}", {"cat": 2.0}),
    ("train.class_weights.cat=2", {"cat": 2.0}),
    ("train.image_scales=0.5,1", [0.5, 1.0]),
    ("train.image_scales=[]", []),
    ("train.early_stopping.restore_best_weights=false", False),
    ("train.checkpoint=none", None),
    ("evaluate.tta=none", "none"),
])
def test_a_value_is_parsed_by_the_type_of_its_key(word: str, value: Any) -> None:
    found: Any = text.recipe({}, [word]).to_dict()
    for part in word.partition("=")[0].split("."):
        found = found if part == "cat" else found[part]
    assert found == ("none" if value is None else value)


def test_options_are_parsed_by_their_own_types() -> None:
    words = ["model.weights=none", "model.trainable=2", "model.name=pretrained", "train.optimizer.nesterov=false",
             "train.optimizer=sgd", "train.augment.mirror=true", "train.augment.rotate.degrees=15", "model.backbone=7"]
    recipe = text.recipe({}, words)
    assert (recipe.model.options["weights"], recipe.model.options["trainable"]) == ("none", 2)
    assert recipe.model.options["backbone"] == "7"
    assert recipe.train.optimizer.options == {"momentum": 0.9, "nesterov": False, "weight_decay": 0.0}
    assert recipe.train.augment == {"mirror": {"probability": 0.5, "alternate": False}, "rotate": {"degrees": 15.0}}


def test_options_are_parsed_by_the_types_of_the_model_in_the_file() -> None:
    recipe = text.recipe({"model": {"name": "mlp"}, "train": {"optimizer": "muon"}},
                         ["model.hidden=64,32", "train.optimizer.momentum=0.8"])
    assert recipe.model.options["hidden"] == [64, 32]
    assert recipe.train.optimizer.options["momentum"] == 0.8


def test_the_last_text_override_wins_over_earlier_ones_but_not_over_values() -> None:
    recipe = text.load("cnn2", ["train.epochs=3", "data.source=digits", "train.epochs=4"], {"data.source": "shapes"})
    assert (recipe.train.epochs, recipe.data.source) == (4, "shapes")


def test_all_mistakes_are_reported_at_once() -> None:
    words = ["nonsense", "epochs=3", "train.epochs=many", "train.augment.mirror=maybe", "model.trainable=few",
             "train.epochz=3", "train.optimizer=adan", "train.early_stopping.restore_best_weights=2"]
    with pytest.raises(RecipeError) as caught:
        text.recipe({"model": {"name": "pretrained"}, "train": {"seed": -1}}, words)
    assert len(caught.value.problems) == len(words) + 1
    for part in ("--set nonsense: expected section.key=value", "epochs: expected section.key", "received 'many'",
                 "received 'maybe'", "received 'few'", "did you mean 'epochs'", "did you mean 'adam'",
                 "restore_best_weights: received", "train.seed: received -1"):
        assert part in str(caught.value)


def test_an_override_without_a_value_is_refused_for_a_valid_recipe() -> None:
    with pytest.raises(RecipeError, match=r"^recipe cnn2: --set train\.epochs: expected section\.key=value"):
        text.load("cnn2", ["train.epochs"])


def test_text_overrides_give_the_same_recipe_as_values() -> None:
    words = ["train.epochs=3", "model.dense=", "data.classes=cat,dog"]
    values = {"train.epochs": 3, "model.dense": [], "data.classes": ["cat", "dog"]}
    assert text.load("cnn2", words) == Recipe.load("cnn2", values)
