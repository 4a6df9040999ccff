"""Recipes of older versions: their keys are read, and mean what they meant."""

from __future__ import annotations

import pytest

from tenfold.errors import RecipeError
from tenfold.recipe import Recipe, text

# What `tenfold train cnn2 …` wrote before optimizers had options of their own.
COMPLETE = """
name = "cnn2"

[data]
source = "cifar10"
classes = []
train_size = "none"
validation = 0.1
test = 0.2
seed = 0

[model]
name = "cnn"
image_size = "none"
filters = [
    32,
    64,
]
convolutions = 1
kernel_size = 3
activation = "relu"
norm = "none"
pool = "max"
dropout = 0.0
head = "global-average"
dense = [
    128,
]
dense_dropout = 0.0

[train]
epochs = 8
batch_size = 128
optimizer = "adam"
learning_rate = 0.001
vector_learning_rate = 1.0
logits_learning_rate = 1.0
momentum = 0.9
nesterov = true
weight_decay = 0.0
schedule = "constant"
warmup = 0.0
label_smoothing = 0.0
stage_decay = 1.0
class_weights = "none"
image_scales = []
views = 1
head = "none"
early_stopping = "none"
plateau = "none"
checkpoint_minutes = 5.0
precision = "auto"
seed = 3

[train.augment.crop]
share = 0.75

[train.checkpoint]
monitor = "val_accuracy"

[evaluate]
batch_size = 500
tta = "none"
tta_below = 1.0
"""


def test_a_complete_recipe_file_of_an_older_run_is_read() -> None:
    now = {"model.pooling": "global-average", "train.augment.crop.fraction": 0.75, "train.seed": 3,
           "data.calibration": 0}
    assert Recipe.loads(COMPLETE) == Recipe.load("cnn2", now)


@pytest.mark.parametrize(("name", "options"), [
    ("adamw", {"weight_decay": 0.1}),
    ("sgd", {"momentum": 0.8, "nesterov": False, "weight_decay": 0.1}),
    ("rmsprop", {"momentum": 0.8, "weight_decay": 0.1}),
    ("muon", {"momentum": 0.8, "nesterov": False, "weight_decay": 0.1}),
    ("normalized-muon", {"momentum": 0.8, "vector_learning_rate": 80.0, "logits_learning_rate": 3.9,
                         "weight_decay": 0.1}),
])
def test_every_optimizer_of_a_complete_older_file_gets_its_options(name: str, options: dict[str, object]) -> None:
    changed = COMPLETE.replace('"adam"', f'"{name}"')
    for old, new in (("momentum = 0.9", "momentum = 0.8"), ("nesterov = true", "nesterov = false"),
                     ("weight_decay = 0.0", "weight_decay = 0.1"),
                     ("vector_learning_rate = 1.0", "vector_learning_rate = 80.0"),
                     ("logits_learning_rate = 1.0", "logits_learning_rate = 3.9")):
        assert old in changed
        changed = changed.replace(old, new)
    optimizer = Recipe.loads(changed).train.optimizer
    assert (optimizer.name, optimizer.options) == (name, options)


def test_an_old_key_that_the_optimizer_lacks_must_have_its_old_default() -> None:
    assert Recipe.loads("[train]\nmomentum = 0.9\nnesterov = true") == Recipe.loads("")
    with pytest.raises(RecipeError, match=r"train\.optimizer\.momentum: unknown key 'momentum'"):
        Recipe.loads("[train]\nmomentum = 0.8")


def test_old_overrides_are_read_in_any_order() -> None:
    for words in (["train.momentum=0.8", "train.optimizer=sgd"], ["train.optimizer=sgd", "train.momentum=0.8"]):
        optimizer = text.load("speed", words).train.optimizer
        assert (optimizer.name, optimizer.options["momentum"]) == ("sgd", 0.8)
    recipe = text.load("cnn2", ["model.head=global-average", "train.augment.crop.share=0.5", "train.weight_decay=0.1"])
    assert recipe.model.options["pooling"] == "global-average"
    assert recipe.train.augment["crop"] == {"fraction": 0.5}
    assert recipe.train.optimizer.options == {"weight_decay": 0.1}


def test_the_old_views_key_counted_the_original_image() -> None:
    frozen = "[model]\nname = 'pretrained'\ntrainable = 'none'\n"
    assert Recipe.loads(f"{frozen}[train]\nviews = 4").train.augmented_copies == 3
    assert text.recipe(Recipe.loads(frozen).to_dict(), ["train.views=2"]).train.augmented_copies == 1
    with pytest.raises(RecipeError, match=r"train\.augmented_copies: received -1"):
        Recipe.loads(f"{frozen}[train]\nviews = 0")


def test_the_old_optimizer_logistic_regression_is_read_as_fit() -> None:
    frozen = "[model]\nname = 'pretrained'\ntrainable = 'none'\n"
    new = Recipe.loads(f"{frozen}[train]\nfit = 'logistic-regression'")
    assert Recipe.loads(f"{frozen}[train]\noptimizer = 'logistic-regression'\nmomentum = 0.9") == new
    assert text.recipe(Recipe.loads(frozen).to_dict(), ["train.optimizer=logistic-regression"]) == new


def test_giving_both_names_of_a_key_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"unknown key 'head'"):
        Recipe.loads("[model]\nhead = 'flatten'\npooling = 'flatten'")
    with pytest.raises(RecipeError, match=r"unknown key 'momentum'"):
        Recipe.loads("[train]\nmomentum = 0.8\noptimizer = { name = 'sgd', momentum = 0.7 }")


def test_a_complete_recipe_from_before_the_calibration_split_holds_none_out() -> None:
    assert Recipe.loads(COMPLETE).data.calibration == 0
    assert Recipe.loads(COMPLETE, overrides={"data.calibration": 0.5}).data.calibration == 0.5
    assert Recipe.loads('[data]\nvalidation = 0.2').data.calibration == 0.5
