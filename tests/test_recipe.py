"""Recipes: precedence, round trips, and every mistake in one answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.errors import RecipeError, UnknownNameError, UsageError
from tenfold.recipe import Recipe, header, options_of, shipped
from tenfold.registry import MODELS


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_recipe_survives_the_round_trip_through_toml(name: str) -> None:
    recipe = Recipe.load(name)
    assert Recipe.loads(recipe.dumps()) == recipe


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_recipe_says_where_it_comes_from_and_what_it_measured(name: str) -> None:
    facts = header(shipped()[name])
    assert {"title", "origin", "command", "machine", "seconds", "accuracy"} <= set(facts)
    assert facts["command"].startswith(f"tenfold train {name} ")


def test_overrides_come_before_the_file_and_the_file_before_the_defaults() -> None:
    text = "[train]\nepochs = 3\nbatch_size = 10\n"
    recipe = Recipe.loads(text, overrides=["train.epochs=4"])
    assert (recipe.train.epochs, recipe.train.batch_size, recipe.train.optimizer) == (4, 10, "adam")


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("data.classes=cat,dog,ship", ["cat", "dog", "ship"]),
        ("data.classes=3,8", ["3", "8"]),
        ('data.classes=["cat", "dog"]', ["cat", "dog"]),
    ],
)
def test_a_list_may_be_written_with_commas(override: str, value: list[str]) -> None:
    assert Recipe.loads("", overrides=[override]).data.classes == value


def test_all_mistakes_are_reported_at_once() -> None:
    overrides = ["train.epochz=3", "model.filterz=3", "train.optimizer=adan", "model.dropout=2",
                 "train.augment.mirrr=true", "train.learning_rate=fast", "nonsense", "data.validation=1.5"]
    with pytest.raises(RecipeError) as caught:
        Recipe.loads("[train]\nseed = -1\n", overrides=overrides)
    message = str(caught.value)
    assert len(caught.value.problems) == len(overrides) + 1
    for part in ("did you mean 'epochs'", "did you mean 'filters'", "did you mean 'adam'", "model.dropout: received 2",
                 "did you mean 'mirror'", "received 'fast'", "train.seed: received -1", "data.validation"):
        assert part in message


def test_an_unknown_recipe_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cifar-cnn'"):
        Recipe.load("cifar-cn")


def test_a_file_that_is_no_toml_is_one_line() -> None:
    with pytest.raises(RecipeError, match="no valid TOML") as caught:
        Recipe.loads("[train\n")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "{a = " * 5_000, "a." * 5_000 + "b = 1"],
                         ids=["lists", "tables", "keys"])
def test_a_recipe_nested_without_end_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(RecipeError, match=r"^recipe deep: no valid TOML: [^\n]*$"):
        Recipe.loads(text, name="deep")


@pytest.mark.parametrize(("value", "kind"), [("few", "a whole number"), ("0", "a number greater than or equal to 1")])
def test_a_value_of_none_of_several_kinds_is_one_mistake(value: str, kind: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.loads("[model]\nname = 'pretrained'\nbackbone = 'ResNet50'", overrides=[f"model.trainable={value}"])
    assert f"model.trainable: received {value!r}; expected 'all', 'none' or {kind}" in str(caught.value).replace(
        f"received {value}", f"received {value!r}")
    assert "mistakes" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        Recipe.load(tmp_path / "absent.toml")


def test_another_model_drops_the_options_of_the_first() -> None:
    recipe = Recipe.load("cifar-cnn", ["model.name=mlp", "model.hidden=64"])
    assert recipe.model.options == {"hidden": [64], "activation": "relu", "norm": "none", "dropout": 0.0}


def test_augmentations_are_applied_in_one_order_and_can_be_turned_off() -> None:
    text = "[train.augment]\ncutout = true\nmirror = true\ntranslate = {pixels = 3}\n"
    recipe = Recipe.loads(text, overrides=["train.augment.cutout=false"])
    assert list(recipe.train.augment) == ["mirror", "translate"]
    assert recipe.train.augment["translate"] == {"pixels": 3}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.validation=0", "train.early_stopping.patience=2"], "needs a validation split"),
        (["train.plateau.patience=2", "train.schedule=cosine"], "constant"),
        (["train.warmup=10"], "fewer than all"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.loads("", overrides=overrides)


def test_none_turns_an_optional_table_off() -> None:
    assert Recipe.load("cnn3-plateau").train.plateau is not None
    assert Recipe.load("cnn3-plateau", ["train.plateau=none"]).train.plateau is None


@pytest.mark.parametrize("name", MODELS.names())
def test_the_options_of_a_model_are_the_parameters_of_its_function(name: str) -> None:
    function = MODELS.get(name)
    assert list(options_of(function).model_fields) == list(function.__kwdefaults__)


def test_recipes_are_checked_without_importing_the_engine() -> None:
    code = ("import sys; from tenfold.recipe import Recipe; Recipe.load('cifar-cnn'); "
            "sys.exit(bool({'torch', 'keras'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
