"""The ensemble of a cross-validation answers with sets that were fitted on all images, and says what they promise."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import tenfold
from tenfold import jobs, modelfile
from tenfold.cli import app
from tenfold.decisions.crossconformal import CrossSets, promised
from tenfold.decisions.rules import Rules
from tenfold.decisions.temperature import at_temperature
from tenfold.errors import RunError, UsageError
from tenfold.evaluation.predictions import read_predictions
from tenfold.recipe import Recipe
from tenfold.report.decisions import sentences
from tenfold.run import Run
from tenfold.runtimes import open_predictor

SMALL = Recipe.from_dict({
    "data": {"source": "shapes:train=400,test=100,seed=3", "classes": ["circle", "square", "cross"]},
    "model": {"name": "cnn", "filters": [8, 8], "dense": [16]},
    "train": {"epochs": 4, "batch_size": 20, "learning_rate": 3e-3, "precision": "float32",
              "early_stopping": {"monitor": "val_loss", "patience": 9, "restore_best_weights": False}}}, name="small")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tenfold.cross_validate(SMALL, folds=3, runs=tmp_path_factory.mktemp("runs")).path


@pytest.fixture(scope="module")
def whole(folder: Path) -> Run:
    result = CliRunner().invoke(app, ["ensemble", str(folder), "--runs", str(folder.parent)])
    assert "The mean of 3 runs, one without each fold, takes 3.0 times" in " ".join(result.output.split())
    return Run.open(folder.parent / "ensemble-shapes-1")


def test_it_learnt_from_all_images_and_is_tested_on_the_split_of_the_source(whole: Run, folder: Path) -> None:
    assert whole.ensemble()["folds"] == 3
    assert [Path(each["run"]).name for each in whole.ensemble()["members"]] == ["fold-1-1", "fold-2-1", "fold-3-1"]
    splits = whole.environment().splits
    assert {name: split.count for name, split in splits.items()} == {"train": 120, "test": 30}
    assert whole.metrics()["test"]["count"] == 30
    assert whole.ensemble()["test"] is None
    page = (whole.path / "report.html").read_text(encoding="utf-8")
    assert "each predicted by the member that has not seen it" in page
    assert "but that is not guaranteed" in page or "No answer is accepted" in page


def test_its_sets_are_fitted_on_each_image_by_the_member_without_it(whole: Run) -> None:
    found, scores = whole.decisions(), []
    assert found["fitted"] == {"split": "folds", "images": 120, "reason": ""}
    for member in whole.ensemble()["members"]:
        labels, p = read_predictions(Run(Path(member["run"])), "test")
        scores.append(1 - at_temperature(p, member["temperature"])[np.arange(len(labels)), labels])
    rules = Rules.read(modelfile.facts(whole.path / "model.keras"))
    sets = rules.sets_at(0.9)
    assert isinstance(sets, CrossSets)
    for mine, theirs in zip(sets.scores, scores, strict=True):
        np.testing.assert_allclose(mine, np.sort(theirs), atol=1e-6)
    assert found["folds"]["sets"][0] == {"level": 0.9, "method": "lac", "promised": promised([40, 40, 40], 0.9)}
    assert found["folds"]["scores"] == {}  # they are in the model
    assert (found["unknown"], found["temperature"]) == (None, 1.0)
    tested, = (each for each in found["tested"]["sets"] if (each["level"], each["method"]) == (0.9, "lac"))
    assert tested["coverage"]["value"] > 0.7


def test_every_runtime_gives_the_sets_of_its_members(whole: Run) -> None:
    images = tenfold.open_dataset(SMALL.data.source).test.images
    members = np.stack([
        at_temperature(open_predictor(Run(Path(member["run"])), "keras").predict(images), member["temperature"])
        for member in whole.ensemble()["members"]], axis=1)
    expected = Rules.read(modelfile.facts(whole.path / "model.keras")).sets_at(0.9).shown(members)
    for runtime in ("fast", "keras", "onnx"):
        found = tenfold.predict(whole, images, runtime=runtime)
        np.testing.assert_array_equal([[name in each.set for name in whole.classes()] for each in found], expected)
        assert "the rules were fitted over folds: sets at 90 % guarantee " in " ".join(found.rule_cautions)
    assert expected.sum(axis=1).mean() > 1


def test_other_levels_and_accuracies_are_fitted_on_the_folds_again(whole: Run, tmp_path: Path) -> None:
    run = Run.open(shutil.copytree(whole.path, tmp_path / "copy"))
    found = jobs.calibrate(run, levels=[0.8], accuracy=0.2)
    assert {each["level"] for each in found["folds"]["sets"]} == {0.8, 0.9, 0.95}
    assert found["accepted"]["accuracy"] == 0.2
    images = tenfold.open_dataset("shapes:train=400,test=100,seed=3").train.images[:40]
    assert "accepted" in {each.decision for each in tenfold.predict(run, list(images), level=0.8)}
    assert any(sentence.endswith("whatever the models; usually of about 80 %.") for sentence in sentences(found))


def test_a_member_that_was_trained_further_is_refused(folder: Path, whole: Run, tmp_path: Path) -> None:
    run = Run.open(shutil.copytree(whole.path, tmp_path / "copy"))
    members = run.ensemble()
    members["members"][1]["temperature"] *= 1.5
    run.write_json("ensemble.json", members)
    before = run.decisions()
    with pytest.raises(RunError, match=r"fold-2-1: has another temperature .* make the ensemble again"):
        jobs.calibrate(run)
    assert run.decisions() == before


def test_only_all_folds_of_one_cross_validation_are_averaged(folder: Path, whole: Run, tmp_path: Path) -> None:
    runs = Run.list(folder)
    for chosen in (runs[:2], [*runs, whole]):
        with pytest.raises(UsageError, match="expected all its folds, once each: give its directory"):
            tenfold.ensemble(chosen, runs=tmp_path / "new")
    with pytest.raises(RunError, match=r"."):
        tenfold.ensemble([folder.parent], runs=tmp_path / "new")
    assert not (tmp_path / "new").exists()
