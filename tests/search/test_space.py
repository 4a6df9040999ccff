"""The space of a search: every mistake is named at once; every shipped recipe has a space that contains it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tenfold.cli import app
from tenfold.errors import RecipeError, UsageError
from tenfold.recipe import Recipe, shipped
from tenfold.search.space import Range, Space

MLP = Recipe.load("mlp", {"train.early_stopping": None})


def first(key: str, each: Range) -> object:
    return each.ends()[0]


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_recipe_has_a_space_that_contains_it(name: str) -> None:
    recipe = Recipe.load(name)
    space = Space.load(recipe)
    start = space.start(recipe)
    assert start is not None
    assert len(start) >= 5
    assert recipe.replace(start) == recipe


def test_all_mistakes_are_named_at_once() -> None:
    content = """
    [search]
    "train.learning_rate" = { low = 1.0, high = 0.1, log = true }
    "train.batch_size" = { choices = [] }
    "model.dropout" = { low = 0.0, hihg = 0.5 }
    "train.epochs" = 3
    "model.norm" = { choices = ["none", "none"], low = 1 }
    "train.learning_rte" = { low = 0.1, high = 0.2 }
    [other]
    """
    with pytest.raises(RecipeError) as caught:
        Space.loads(content, MLP)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        "other", "train.learning_rate", "train.batch_size", "model.dropout.hihg", "train.epochs", "model.norm",
        "model.norm", "train.learning_rte"]
    assert "received low 1.0 and high 0.1; expected low below high" in str(caught.value)
    assert "did you mean 'high'" in str(caught.value)


def test_keys_and_values_must_fit_the_recipe() -> None:
    content = """
    [search]
    "train.lerning_rate" = { low = 1e-4, high = 1e-2 }
    "model.norm" = { choices = ["none", "batches"] }
    "data.validation" = { low = 0.1, high = 0.2 }
    "model.dropout" = { low = 0.0, high = 1.5, when = { "train.batch_size" = [64] } }
    "train.batch_size" = { choices = [32, 64] }
    """
    with pytest.raises(RecipeError) as caught:
        Space.loads(content, MLP)
    text = str(caught.value)
    assert "train.lerning_rate: unknown key 'lerning_rate'; did you mean 'learning_rate'" in text
    assert "model.norm: unknown value 'batches'; did you mean 'batch'" in text
    assert "data.validation: can't be searched" in text
    assert "model.dropout: its condition is on train.batch_size, which comes later" in text
    assert "model.dropout: received 1.5" in text


@pytest.mark.parametrize(("lines", "problem"), [
    ('"model.dropout" = { low = 0.0, high = 0.5, when = { "model.normm" = ["batch"] } }',
     "model.dropout: its condition on model.normm: unknown key 'normm'; did you mean 'norm'"),
    ('"model.dropout" = { low = 0.0, high = 0.5, when = { "model.norm" = ["bacth"] } }',
     "model.dropout: its condition on model.norm: unknown value 'bacth'; did you mean 'batch'"),
    ('"model.dropout" = { low = 0.0, high = 0.5, when = { "train.optimizer" = [] } }',
     "model.dropout: its condition on train.optimizer: received no values; expected at least one"),
    ('"model.norm" = { choices = ["none"] }\n'
     '"model.dropout" = { low = 0.0, high = 0.5, when = { "model.norm" = ["batch"] } }',
     "model.dropout: its condition on model.norm: received 'batch'; expected values that it has in this search"),
    ('"train.optimizer" = { choices = ["sgd", "adam"] }\n'
     '"train.optimizer.momentum" = { low = 0.5, high = 0.9, when = { "train.optimizer" = ["sgd", "adam"] } }',
     "train.optimizer.momentum: unknown key 'momentum'"),
    ('"train.epochs" = { low = 1.0, high = 4.0 }', "train.epochs: received 2.14; expected a whole number"),
    ('"train.epochs" = { low = 1.0, high = 4.0, step = 1.5 }', "train.epochs: received 2.5; expected a whole number"),
    ('"train.seed" = { low = 0, high = 9 }', "train.seed: can't be searched: the verdict needs seeds"),
])
def test_what_would_never_be_searched_or_always_fail_is_a_mistake(lines: str, problem: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Space.loads(f"[search]\n{lines}", MLP)
    found, = caught.value.problems
    assert found.startswith(problem)


def test_a_condition_may_be_one_that_only_other_recipes_fulfil() -> None:
    content = """
    [search]
    "train.epochs" = { low = 1.0, high = 4.0, step = 1.0 }
    "train.label_smoothing" = { low = 0.0, high = 0.1, when = { "train.optimizer" = ["adamw"] } }
    "train.batch_size" = { choices = [32], when = { "train.schedule" = ["cosine"] } }
    """
    recipe = MLP.replace({"train.plateau.patience": 2})  # which a cosine schedule contradicts
    assert list(Space.loads(content, recipe).changes(recipe, first)) == ["train.epochs"]


def test_a_key_is_searched_only_under_its_conditions() -> None:
    content = """
    [search]
    "train.optimizer" = { choices = ["adam", "sgd"] }
    "train.optimizer.momentum" = { low = 0.5, high = 0.9, when = { "train.optimizer" = ["sgd"] } }
    "train.schedule" = { choices = ["cosine"], when = { "train.plateau" = ["none"] } }
    """
    space = Space.loads(content, MLP)
    assert space.changes(MLP, first) == {"train.optimizer": "adam", "train.schedule": "cosine"}
    last = space.changes(MLP, lambda key, each: each.ends()[-1])
    assert last == {"train.optimizer": "sgd", "train.optimizer.momentum": 0.9, "train.schedule": "cosine"}
    assert MLP.replace(last).train.optimizer.options["momentum"] == 0.9
    with_plateau = MLP.replace({"train.plateau.patience": 2})
    assert "train.schedule" not in Space.loads(content, with_plateau).changes(with_plateau, first)


def test_nested_tables_are_the_same_as_dotted_keys_and_a_space_is_written_as_it_is_read() -> None:
    quoted = '[search]\n"train.epochs" = { low = 1, high = 3 }\n"train.warmup" = { choices = [0.0, 0.5] }\n'
    nested = "[search.train]\nepochs = { low = 1, high = 3 }\nwarmup = { choices = [0.0, 0.5] }\n"
    space = Space.loads(quoted, MLP)
    assert Space.loads(nested, MLP) == space
    assert Space.loads(space.dumps(), MLP) == space


def test_a_recipe_outside_the_space_has_no_start_in_it() -> None:
    space = Space.loads('[search]\n"train.epochs" = { low = 1, high = 3 }', MLP)
    assert space.start(MLP) is None
    assert space.start(MLP.replace({"train.epochs": 2})) == {"train.epochs": 2}


def test_the_command_shows_the_space() -> None:
    result = CliRunner().invoke(app, ["tune", "mlp", "--show"])
    assert result.exit_code == 0
    assert Space.loads(result.stdout, MLP) == Space.load(MLP)


def test_a_wrong_space_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "space.toml"
    file.write_text("[search]\n'train.epochs' = { low = 3, high = 1 }", "utf-8")
    result = CliRunner().invoke(app, ["tune", "mlp", "--space", str(file), "--show"])
    assert result.exit_code == 2
    assert "train.epochs: received low 3 and high 1; expected low below high" in result.stderr
    with pytest.raises(UsageError, match="can't be read"):
        Space.load(MLP, tmp_path / "none.toml")
