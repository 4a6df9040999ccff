"""Cross-validation: every image once, folds as ordinary runs, one summary, compared in pairs, continued if stopped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from watchers import Listen

from tenfold import cross_validate, ensemble, predict
from tenfold.comparison import compare
from tenfold.crossvalidation import CrossValidation
from tenfold.errors import UsageError
from tenfold.evaluation.predictions import read_predictions
from tenfold.evaluation.weighted import Predictions
from tenfold.overview import list_runs
from tenfold.progress import Event, Step, Training, Watcher
from tenfold.recipe import Recipe
from tenfold.terminal import print_decisions

SMALL = Recipe.from_dict({
    "data": {"source": "digits"}, "model": {"name": "mlp", "hidden": [8]},
    "train": {"epochs": 2, "batch_size": 64}}, name="small")


class Interrupt(Watcher):
    """Stops during the second training."""

    def __init__(self) -> None:
        self.started = 0

    def on(self, event: Event) -> None:
        self.started += isinstance(event, Training)
        if isinstance(event, Step) and self.started == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> CrossValidation:
    return cross_validate(SMALL, folds=3, runs=tmp_path_factory.mktemp("runs"))


def test_every_image_is_predicted_once(found: CrossValidation) -> None:
    assert found.path.name == "small-digits-folds-1"
    assert [run.recipe().data.fold for run in found.runs] == [1, 2, 3]
    parts = [Predictions(*read_predictions(run, "test")) for run in found.runs]
    images = found.results["images"]
    assert sum(len(part.labels) for part in parts) == images
    assert {sum(split.count for split in run.environment().splits.values()) for run in found.runs} == {images}
    assert found.results["accuracy"]["value"] == pytest.approx(np.concatenate([p.correct for p in parts]).mean())
    assert found.results["accuracy"]["low"] < found.results["accuracy"]["value"] < found.results["accuracy"]["high"]
    assert np.sum(found.results["confusion_matrix"]) == images
    assert json.loads((found.path / "folds.json").read_text("utf-8")) == found.results


def test_the_page_shows_every_fold(found: CrossValidation) -> None:
    text = found.page.read_text("utf-8")
    assert all(f'href="{run.name}/report.html"' in text for run in found.runs)
    assert "sd over folds" in text
    assert "Most confident errors" in text


def test_its_ensemble_needs_no_images_held_out(found: CrossValidation, tmp_path: Path,
                                               capsys: pytest.CaptureFixture[str]) -> None:
    run = ensemble([found.path], runs=tmp_path)
    assert {name: split.count for name, split in run.environment().splits.items()} == {
        "train": found.results["images"]}
    decisions = run.decisions()
    assert (decisions["fitted"]["images"], decisions.get("tested")) == (found.results["images"], None)
    assert decisions["folds"]["sets"][0]["promised"] > 0.79
    print_decisions(decisions)
    assert "usually of about 95 %." in " ".join(capsys.readouterr().out.split())
    answer, = predict(run, np.zeros((8, 8, 1), np.uint8))
    assert answer.label in answer.set
    assert "each predicted by the member that has not seen it" in (run.path / "report.html").read_text("utf-8")


def test_folds_are_compared_in_pairs(found: CrossValidation) -> None:
    wide = cross_validate(SMALL, folds=3, overrides={"model.hidden": [64]}, runs=found.path.parent, name="wide")
    alone = [run for run in wide.runs if run.recipe().data.fold != 2]
    board = compare([found.path, wide.path], by="accuracy")
    assert [row.folds for row in board] == [3, 3]
    pair, = board.pairs
    assert pair.mcnemar["p"] is None  # that test knows no folds
    assert pair.differences["accuracy"]["value"] == pytest.approx(
        wide.results["accuracy"]["value"] - found.results["accuracy"]["value"])
    assert pair.differences["accuracy"]["low"] > 0
    assert board[1].metrics["accuracy"] == {key: found.results["accuracy"][key]
                                            for key in ("value", "low", "high", "sd")}
    lacking = compare([found.path, *(run.path for run in alone)])
    assert len(lacking) == 1
    assert [said.partition(" is left out: ")[2] for said in lacking.left_out] == [
        "its cross-validation lacks fold 2"] * 2


def test_folds_and_a_split_are_not_comparable(found: CrossValidation, tmp_path: Path) -> None:
    from tenfold import train

    run = train(SMALL, runs=tmp_path)
    with pytest.raises(UsageError, match="in 3 folds, seed 0"):
        compare([run, found.path])


def test_an_interrupted_one_continues(found: CrossValidation, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        cross_validate(SMALL, folds=3, runs=tmp_path, watcher=Interrupt())
    listen = Listen()
    again = cross_validate(SMALL, folds=3, runs=tmp_path, resume=True, watcher=listen)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["small-digits-folds-1"]
    assert any("fold-1-1 is already finished" in said for said in listen.said)
    assert again.results["accuracy"] == found.results["accuracy"]
    assert [row["run"] for row in list_runs(tmp_path)] == [f"small-digits-folds-1/fold-{i}-1" for i in (1, 2, 3)]


def test_bad_input_leaves_nothing(tmp_path: Path) -> None:
    for folds, name, words in ((2, None, "data.folds"), (1000, None, "data.folds: received 1000"),
                               (3, "a b", "run name")):
        with pytest.raises(UsageError, match=words):
            cross_validate(SMALL, folds=folds, runs=tmp_path / "runs", name=name)
    assert not (tmp_path / "runs").exists()
