"""Run directories of an earlier version: they open, predict, compare, evaluate and resume.

`earlier_runs/` holds two runs of one recipe, made by version 0.1.0 at commit 301e6e1: one finished, one stopped in the
third step of its second epoch. Plots and report were left out: they can be drawn again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tenfold
from tenfold.run import Run

EARLIER = Path(__file__).parent / "earlier_runs"


@pytest.fixture
def finished(tmp_path: Path) -> Run:
    return Run.open(shutil.copytree(EARLIER / "small-digits-1", tmp_path / "small-digits-1"))


@pytest.fixture
def stopped(tmp_path: Path) -> Run:
    return Run.open(shutil.copytree(EARLIER / "small-digits-2", tmp_path / "small-digits-2"))


def test_an_earlier_run_opens(finished: Run, stopped: Run) -> None:
    assert finished.status()["status"] == "finished"
    assert stopped.status()["status"] == "stopped"
    assert [run.name for run in Run.list(finished.path.parent)] == ["small-digits-1", "small-digits-2"]
    assert finished.classes() == tuple("0123456789")
    assert finished.metrics()["test"]["accuracy"]["value"] == pytest.approx(0.44)
    assert len(finished.history()) == 6
    assert finished.predictions("test").num_rows == 100
    assert finished.recipe() == stopped.recipe()


def test_the_recipe_of_an_earlier_run_keeps_its_meaning(finished: Run) -> None:
    again = tenfold.Recipe.loads((finished.path / "recipe.toml").read_text(encoding="utf-8"))
    assert again == tenfold.Recipe.loads(again.dumps())
    assert again.train.epochs == 6
    assert again.train.learning_rate == 0.1


def test_an_earlier_model_gives_its_recorded_predictions(finished: Run, tmp_path: Path) -> None:
    dataset = tenfold.open_dataset("digits")
    paths = []
    for i, image in enumerate(dataset.train.images[:5]):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(image[:, :, 0]).save(paths[-1])
    said = [max(p.probabilities.values()) for p in tenfold.predict(finished, paths)]
    plain = finished.model().predict(np.asarray(dataset.train.images[:5], np.float32), verbose=0)
    np.testing.assert_allclose(said, plain.max(axis=1), atol=1e-5)


def test_earlier_runs_can_be_compared(finished: Run, stopped: Run) -> None:
    row, = board = tenfold.compare([finished, stopped])
    assert row.metrics["accuracy"]["value"] == pytest.approx(0.44)
    assert "stopped" in " ".join(board.left_out)


def test_evaluating_an_earlier_run_again_gives_the_same_metrics(finished: Run) -> None:
    before = finished.metrics()["test"]
    after = tenfold.evaluate(finished)["test"]
    assert after["accuracy"] == pytest.approx(before["accuracy"])
    assert after["loss"]["value"] == pytest.approx(before["loss"]["value"], abs=1e-5)
    assert after["times"] == before["times"] + 1


def test_a_stopped_earlier_run_resumes_to_the_weights_of_the_finished_one(finished: Run, stopped: Run) -> None:
    resumed = tenfold.resume(stopped)
    assert resumed.status()["status"] == "finished"
    for ours, theirs in zip(resumed.model().get_weights(), finished.model().get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)  # other processors add up in another order


def test_a_finished_earlier_run_can_be_trained_further(finished: Run) -> None:
    assert len(tenfold.resume(finished, epochs=7).history()) == 7
