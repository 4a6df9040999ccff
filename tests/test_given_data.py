"""Runs of images that were given in Python: they are kept with the run, and everything that follows needs only it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from typer.testing import CliRunner
from watchers import After, Listen, at_once

import tenfold
from tenfold.cli import app
from tenfold.data import kept
from tenfold.data.given.values import dataset_of
from tenfold.errors import DataError, RunError, TenfoldError, UsageError
from tenfold.jobs.own_data import own_data
from tenfold.progress import SILENT
from tenfold.run import Run
from tenfold.study import Study

RECIPE = {"model": {"name": "cnn", "filters": [4], "dense": [16]}, "train": {"epochs": 2, "batch_size": 100}}
TINY = {"model": {"name": "mlp", "hidden": [8]}, "train": {"epochs": 1}}
Arrays = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def data() -> Arrays:
    """300 handwritten digits, uint8 [n, 8, 8], and their labels as a list of words."""
    return (load_digits().images[:300] * 255 / 16).astype(np.uint8), load_digits().target[:300]


@pytest.fixture(scope="module")
def run(data: Arrays, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tenfold.train(RECIPE, data, runs=tmp_path_factory.mktemp("runs"))


@pytest.fixture
def copy(run: Run, tmp_path: Path) -> Run:
    return Run.open(shutil.copytree(run.path, tmp_path / "copy"))


def weights(run: Run) -> list[np.ndarray]:
    return run.model().get_weights()


def test_the_run_keeps_the_images(run: Run, data: Arrays) -> None:
    found = kept.open_kept(run.path / "data")
    np.testing.assert_array_equal(found.train.images[:, :, :, 0], data[0])
    assert run.name == "recipe-arrays-1"
    assert run.recipe().data.source == run.environment()["dataset"]["uri"] == found.uri
    assert found.uri.startswith("given:")


def test_the_test_predictions_are_in_the_order_of_the_given_images(data: Arrays, tmp_path: Path) -> None:
    x, y = data
    run = tenfold.train(RECIPE, ((x[:200], y[:200]), (x[200:], y[200:])), runs=tmp_path)
    assert run.predictions("test")["label"].to_pylist() == [str(label) for label in y[200:]]


def test_it_is_evaluated_and_explained_without_the_images(copy: Run) -> None:
    before = copy.metrics()["test"]["accuracy"]
    assert tenfold.evaluate(copy.path)["test"]["accuracy"] == before
    assert tenfold.explain(str(copy.path), most=2).entries
    for command in (["evaluate", str(copy.path)], ["explain", str(copy.path), "--most", "1"]):
        assert CliRunner().invoke(app, command).exit_code == 0


def test_a_stopped_run_resumes_to_the_same_weights(run: Run, data: Arrays, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tenfold.train(RECIPE, data, runs=tmp_path, watcher=After(1, 2, at_once))
    stopped = tmp_path / "recipe-arrays-1"
    assert CliRunner().invoke(app, ["resume", str(stopped)]).exit_code == 0
    assert all(np.array_equal(a, b) for a, b in zip(weights(Run.open(stopped)), weights(run), strict=True))
    again = tenfold.train(RECIPE, data, runs=tmp_path, resume=True)
    assert again.path == stopped


def test_other_recipes_train_on_the_images_of_a_run(run: Run, tmp_path: Path) -> None:
    other = tenfold.train({"model": {"name": "mlp", "hidden": [8]}, "train": {"epochs": 1}}, run.path, runs=tmp_path)
    assert other.environment().fingerprint == run.environment().fingerprint
    assert other.recipe().data.source == run.recipe().data.source
    assert other.has("data/dataset.json")  # it does not need the first run
    assert len(tenfold.compare([run, other.path])) == 2


def test_the_recipe_of_such_a_run_says_where_its_images_are(run: Run, tmp_path: Path) -> None:
    with pytest.raises(TenfoldError, match=r"^[^\n]*it was given in Python; expected [^\n]*--data runs/NAME-1/data"):
        tenfold.train(run.path / "recipe.toml", runs=tmp_path)
    assert not list(tmp_path.iterdir())


def test_images_given_again_are_recognised(copy: Run, data: Arrays) -> None:
    x, y = data
    shutil.rmtree(copy.path / "data")
    with pytest.raises(RunError, match=r"does not keep the images .* again as data="):
        tenfold.evaluate(copy)
    assert set(tenfold.evaluate(copy, data=data)) == {"validation", "test"}
    assert tenfold.explain(copy, data=data, most=1, neighbours=1).entries
    with pytest.raises(RunError, match="has changed since training"):
        tenfold.explain(copy, data=(x, y[::-1]))
    resumed = tenfold.resume(copy, epochs=3, data=data)
    assert len(resumed.history()) == 3


def test_other_images_are_scored_elsewhere(copy: Run) -> None:
    x, y = load_digits().images[300:400] / 16, load_digits().target[300:400]
    found = tenfold.evaluate(copy, data={"train": (x, y), "test": (x, y)})
    assert found["arrays-test"]["count"] == 100


def test_a_test_split_alone_is_scored(copy: Run, data: Arrays) -> None:
    found = tenfold.evaluate(copy, data={"test": (data[0][:50][:, ::-1], data[1][:50])})
    assert found["arrays-train"]["count"] == 50


def test_classes_without_training_images_are_told(data: Arrays) -> None:
    x, y = data[0], [f"digit {label}" for label in data[1]]
    given = dataset_of((x, y, x[:3], ["other", *y[1:3]]))
    assert given.notes == ("no training images of other: the model can't learn what is not there",)


def test_large_images_are_not_kept(data: Arrays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "LARGEST", 1000)
    run = tenfold.train(RECIPE, data, runs=tmp_path, watcher=(listen := Listen()))
    assert not (run.path / "data").exists()
    assert any("the run does not keep them; give them again as data=" in said for said in listen.said)


def test_only_a_data_set_that_can_be_opened_again_is_not_kept(tmp_path: Path) -> None:
    digits = tenfold.open_dataset("digits")
    few = replace(digits, train=digits.train.take(np.arange(200)))
    recipe = {**RECIPE, "train": {"epochs": 1}}
    changed, same = (tenfold.train(recipe, each, runs=tmp_path) for each in (few, digits))
    assert changed.has("data/dataset.json")
    assert not same.has("data/dataset.json")
    assert same.recipe().data.source == "digits"
    assert set(tenfold.evaluate(changed)) == set(tenfold.evaluate(same))


def test_several_seeds_are_one_model(data: Arrays, tmp_path: Path) -> None:
    runs = [tenfold.train(each, data, runs=tmp_path) for each in tenfold.seeds({**RECIPE, "train": {"epochs": 1}}, 2)]
    row, = tenfold.compare(runs)
    assert row.seeds == (0, 1)


WRONG: dict[str, Any] = {
    "arguments in the wrong order": lambda data, _: tenfold.train(data, "cnn2"),
    "a recipe that is none": lambda data, _: tenfold.train(3, data),  # type: ignore[arg-type]
    "data that are none": lambda _, __: tenfold.train("mlp", 3),  # type: ignore[arg-type]
    "a callback that is none": lambda data, _: tenfold.train("mlp", data, "early"),
    "a class of callbacks": lambda data, _: tenfold.train("mlp", data, Listen),
    "a run that is none": lambda data, _: tenfold.evaluate(data),  # type: ignore[arg-type]
    "another data set that is none": lambda _, run: tenfold.evaluate(run, data=3),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_type_is_one_short_line(name: str, data: Arrays, run: Run) -> None:
    with pytest.raises(UsageError, match=r"received [^\n]*; expected ") as caught:
        WRONG[name](data, run)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("missing", [None, float("nan"), ""])
def test_a_missing_label_is_no_class(missing: Any, data: Arrays, tmp_path: Path) -> None:
    x, labels = data[0], [f"class {label}" for label in data[1]]
    with pytest.raises(DataError, match=r"label.* for 1 of 300 images, first for image 3; expected a label for"):
        tenfold.train("mlp", (x, [*labels[:3], missing, *labels[4:]]), runs=tmp_path)
    assert not list(tmp_path.iterdir())


def test_runs_on_the_same_images_share_them_and_stand_alone(data: Arrays, tmp_path: Path) -> None:
    first, second = (tenfold.train(recipe, data, runs=tmp_path) for recipe in tenfold.seeds(TINY, 2))
    file = "data/train-images.npy"
    assert (first.path / file).samefile(second.path / file)
    shutil.rmtree(first.path)
    assert own_data(second, SILENT).fingerprint() == second.environment().fingerprint
    moved = tenfold.train(TINY, second.path, runs=tmp_path / "elsewhere")
    assert moved.recipe().data.source == second.recipe().data.source
    shutil.rmtree(second.path)
    assert own_data(moved, SILENT).fingerprint() == moved.environment().fingerprint


def test_a_study_trains_on_given_images(data: Arrays, tmp_path: Path) -> None:
    study = Study.model_validate({"name": "pair", "models": [{"name": name, **TINY} for name in ("one", "two")]})
    outcome = tenfold.conduct(study, data, runs=tmp_path, workers=2)
    assert outcome.path.name == "pair-arrays-1"
    assert [len(row.runs) for row in outcome.board] == [1, 1]
    assert tenfold.conduct(study, data, runs=tmp_path, resume=True).path == outcome.path
    shutil.rmtree(outcome.path / "data")
    for run in Run.list(outcome.path):
        assert run.recipe().data.source.startswith("given:")
        assert tenfold.evaluate(run, splits="test")["test"]["times"] == 2


def test_a_search_trains_on_given_images(data: Arrays, tmp_path: Path) -> None:
    space = tmp_path / "space.toml"
    space.write_text('[search]\n"train.learning_rate" = {choices = [1e-3, 1e-2]}\n', encoding="utf-8")
    options: dict[str, Any] = {"trials": 2, "space": space, "by": "accuracy", "final_seeds": 1, "runs": tmp_path,
                               "sampler": "grid", "workers": 2}
    found = tenfold.tune(TINY, data, **options)
    assert found.path.name == "search-recipe-arrays-1"
    assert [row["status"] for row in found.results["trials"]] == ["finished", "finished"]
    run = Run.list(found.path / "final")[0]
    assert (run.path / "data/train-images.npy").samefile(found.path / "data/train-images.npy")
    assert tenfold.evaluate(run, splits="test")["test"]["times"] == 2
    assert tenfold.tune(TINY, data, **options).path == found.path
    again = tenfold.train(found.best, runs=tmp_path / "again")
    assert again.environment().fingerprint == run.environment().fingerprint
    with pytest.raises(UsageError, match="is another search"):
        tenfold.tune(TINY, (data[0][:250], data[1][:250]), **options)
