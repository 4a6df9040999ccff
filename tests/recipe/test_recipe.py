"""Recipes: precedence, round trips, and every mistake in one answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.errors import RecipeError, UnknownNameError, UsageError
from tenfold.recipe import Recipe, header, options_of, shipped
from tenfold.registry import MODELS, OPTIMIZERS, Registry


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_recipe_survives_the_round_trip_through_toml(name: str) -> None:
    recipe = Recipe.load(name)
    assert Recipe.loads(recipe.dumps()) == recipe


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_recipe_says_where_it_comes_from_and_what_it_measured(name: str) -> None:
    facts = header(shipped()[name])
    assert {"title", "origin", "command", "machine", "seconds", "accuracy"} <= set(facts)
    assert facts["command"].startswith(f"tenfold train {name} ")


def test_overrides_win_over_the_file_and_the_file_over_the_defaults() -> None:
    text = "[train]\nepochs = 3\nbatch_size = 10\n"
    recipe = Recipe.loads(text, overrides={"train.epochs": 4})
    assert (recipe.train.epochs, recipe.train.batch_size, recipe.train.optimizer.name) == (4, 10, "adam")


def test_all_mistakes_are_reported_at_once() -> None:
    overrides = {"train.epochz": 3, "model.filterz": 3, "train.optimizer": "adan", "model.dropout": 2,
                 "train.augment.mirrr": True, "train.learning_rate": "fast", "nonsense": 1, "data.validation": 1.5}
    with pytest.raises(RecipeError) as caught:
        Recipe.loads("[train]\nseed = -1\n", overrides=overrides)
    message = str(caught.value)
    assert len(caught.value.problems) == len(overrides) + 1
    for part in ("did you mean 'epochs'", "did you mean 'filters'", "did you mean 'adam'", "model.dropout: received 2",
                 "did you mean 'mirror'", "received 'fast'", "train.seed: received -1", "data.validation",
                 "nonsense: expected section.key"):
        assert part in message


def test_an_unknown_recipe_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cifar-cnn'"):
        Recipe.load("cifar-cn")


def test_a_file_that_is_not_toml_is_reported_in_one_line() -> None:
    with pytest.raises(RecipeError, match="invalid TOML") as caught:
        Recipe.loads("[train\n")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("value", "kind"), [("few", "a whole number"), (0, "a number greater than or equal to 1")])
def test_a_value_of_a_wrong_type_is_reported_once_with_all_allowed_types(value: object, kind: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.loads("[model]\nname = 'pretrained'\nbackbone = 'ResNet50'", overrides={"model.trainable": value})
    assert f"model.trainable: received {value!r}; expected 'all', 'none' or {kind}" in str(caught.value)
    assert "mistakes" not in str(caught.value)


def test_a_missing_file_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        Recipe.load(tmp_path / "absent.toml")


@pytest.mark.parametrize("overrides", [
    {"train.optimizer": "sgd", "train.optimizer.momentum": 0.8},
    {"train.optimizer.momentum": 0.8, "train.optimizer": "sgd"},
    {"train.optimizer.momentum": 0.8, "train.optimizer.name": "sgd"},
    {"train.optimizer": {"name": "sgd", "momentum": 0.8}},
])
def test_another_optimizer_drops_the_options_of_the_first(overrides: dict[str, object]) -> None:
    optimizer = Recipe.load("speed", overrides).train.optimizer
    assert (optimizer.name, optimizer.options) == ("sgd", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.0})


def test_an_optimizer_keeps_its_options_when_it_is_named_again_or_one_is_changed() -> None:
    speed = Recipe.load("speed")
    assert speed.replace({"train.optimizer": "normalized-muon"}) == speed
    changed = speed.replace({"train.optimizer": {"momentum": 0.7}}).train.optimizer.options
    assert changed == {**speed.train.optimizer.options, "momentum": 0.7}


def test_an_optimizer_may_be_a_name_or_a_table() -> None:
    texts = ("[train]\noptimizer = 'sgd'", "[train]\noptimizer = { name = 'sgd' }", "[train.optimizer]\nname = 'sgd'")
    first, *others = (Recipe.loads(text) for text in texts)
    assert [first] * 2 == others
    assert '[train.optimizer]\nname = "sgd"\nmomentum = 0.9\nnesterov = true\nweight_decay = 0.0\n' in first.dumps()


def test_an_option_that_the_optimizer_lacks_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"\.optimizer\.momentum: unknown key 'momentum'; choose from: weight_decay"):
        Recipe.loads("[train.optimizer]\nname = 'adam'\nmomentum = 0.8")
    with pytest.raises(RecipeError, match="unknown key 'momentun'; did you mean 'momentum'"):
        Recipe.loads("[train.optimizer]\nname = 'sgd'\nmomentun = 0.8")


def test_values_survive_unchanged() -> None:
    uri = 'shapes:train=200,test=60,"none" # 😀'
    recipe = Recipe.load("cnn2").replace({"data.source": uri, "train.epochs": 3, "model.filters": [8]})
    assert (recipe.data.source, recipe.train.epochs, recipe.model.options["filters"]) == (uri, 3, [8])
    assert Recipe.loads(recipe.dumps()) == recipe


def test_another_model_drops_the_options_of_the_first() -> None:
    recipe = Recipe.load("cifar-cnn", {"model.name": "mlp", "model.hidden": 64})
    assert recipe.model.options == {"hidden": [64], "activation": "relu", "norm": "none", "dropout": 0.0}


def test_augmentations_are_applied_in_one_order_and_can_be_turned_off() -> None:
    text = "[train.augment]\ncutout = true\nmirror = true\ntranslate = {pixels = 3}\n"
    recipe = Recipe.loads(text, overrides={"train.augment.cutout": False})
    assert list(recipe.train.augment) == ["mirror", "translate"]
    assert recipe.train.augment["translate"] == {"pixels": 3}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"data.validation": 0, "train.early_stopping.patience": 2}, "needs a validation split"),
        ({"train.plateau.patience": 2, "train.schedule": "cosine"}, "constant"),
        ({"train.warmup": 10}, "expected fewer than train.epochs"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.loads("", overrides=overrides)


def test_none_turns_an_optional_table_off() -> None:
    assert Recipe.load("cnn3-plateau").train.plateau is not None
    assert Recipe.load("cnn3-plateau", {"train.plateau": None}).train.plateau is None
    assert Recipe.load("cnn3-plateau", {"train.plateau": "none"}).train.plateau is None


@pytest.mark.parametrize(("registry", "name"), [(r, name) for r in (MODELS, OPTIMIZERS) for name in r.names()])
def test_options_are_the_keyword_only_parameters_of_the_function(registry: Registry, name: str) -> None:
    function = registry.get(name)
    assert list(options_of(function).model_fields) == list(function.__kwdefaults__)


def test_recipes_are_checked_without_importing_the_engine() -> None:
    code = ("import sys; from tenfold.recipe import Recipe; Recipe.load('speed').replace({'train.optimizer': 'sgd'}); "
            "sys.exit(bool({'torch', 'keras'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_long_and_many_mistakes_stay_short() -> None:
    many = "[train]\n" + "".join(f"key_{i} = 1\n" for i in range(2_000))
    for text in (many, "[train]\n" + "x" * 100_000 + " = 1", "[train]\nepochs = '" + "x" * 100_000 + "'"):
        with pytest.raises(RecipeError) as refusal:
            Recipe.loads(text)
        assert len(str(refusal.value)) < 20_000
    with pytest.raises(RecipeError, match=r"and 1,950 more$"):
        Recipe.loads(many)


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "{a = " * 5_000, "a." * 5_000 + "b = 1",
                                  '"a b" . ' * 20_000 + "b = 1", "[a" + ".a" * 20_000 + "]", "a = " + "9" * 5_000],
                         ids=["lists", "tables", "keys", "quoted keys", "header", "digits"])
def test_a_recipe_nested_too_deep_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(RecipeError, match=r"^recipe deep: invalid TOML: [^\n]*$"):
        Recipe.loads(text, name="deep")


def test_a_missing_key_says_what_it_is():
    with pytest.raises(UsageError, match=r"train\.distillation\.teacher: missing; expected directory of the teacher's"):
        Recipe.load("mlp", {"train.distillation.augmented": True})


@pytest.mark.parametrize(("key", "value", "message"), [
    ("batch_size", 3, r"batch_size: expected section\.key, as in train\.batch_size"),
    ("nonsense", 3, r"nonsense: expected section\.key, as in train\.epochs"),
    ("", 3, r"an empty key: expected section\.key"),
    ("model.filters", [], r"model\.filters: received \[\]; expected at least 1 item$"),
    ("train.seed", "1" + 5000 * "0", r"train\.seed: .*; expected a whole number that is not so large$"),
])
def test_keys_and_values_are_told_in_plain_words(key, value, message):
    with pytest.raises(UsageError, match=message):
        Recipe.load("cnn2", {key: value})


def test_an_unknown_recipe_may_also_be_a_path():
    with pytest.raises(UnknownNameError, match=r"unknown recipe 'try'; .*, the path of a \.toml file$"):
        Recipe.load("try")
