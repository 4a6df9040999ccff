"""A search with folds: trials are one run for each fold, ranked by their mean, never scored on the test split."""

from __future__ import annotations

import json
import shutil
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from made_searches import OPTIONS, START, told
from watchers import Listen

from tenfold.errors import UsageError
from tenfold.evaluation.predictions import read_predictions, write_predictions
from tenfold.overview import list_runs
from tenfold.progress import SILENT, Event, Step, Training, Watcher
from tenfold.run import Run
from tenfold.search import tune, winner
from tenfold.search.trials import Trials
from tenfold.search.tuning import Found

FOLDED = OPTIONS | {"folds": 3, "trials": 3, "final_seeds": 1}


class Interrupt(Watcher):
    """Stops the search during its n-th training."""

    def __init__(self, training: int) -> None:
        self.left = training

    def on(self, event: Event) -> None:
        self.left -= isinstance(event, Training)
        if isinstance(event, Step) and self.left == 0:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return tune(START, runs=tmp_path_factory.mktemp("runs"), **FOLDED)


def test_a_trial_is_ranked_by_the_mean_over_its_folds(folded: Found) -> None:
    assert folded.results["folds"] == 3
    for row in folded.results["trials"]:
        if row["status"] != "finished":
            continue
        runs = [Run.open(folded.path / row["run"] / f"fold-{number}") for number in (1, 2, 3)]
        assert [run.recipe() for run in runs] == [
            START.replace(row["changes"] | {"data.folds": 3, "data.fold": number}) for number in (1, 2, 3)]
        scores = [run.metrics()["test"]["accuracy"]["value"] for run in runs]
        assert row["value"] == pytest.approx(statistics.mean(scores))
        assert not any(run.has("report.html") for run in runs)


def test_no_trial_sees_the_test_split_of_the_verdict(folded: Found) -> None:
    final = Run.open(folded.path / folded.results["winner"]["runs"][0]).environment().splits
    trial = Run.open(folded.path / folded.results["best"]["run"] / "fold-1").environment().splits
    outside = final["test"].count
    assert sum(split.count for split in trial.values()) == 1797 - outside
    assert "fold 1 of 3 of train" in trial["test"].source


def test_the_verdict_compares_the_score_over_all_folds_with_the_test_score(folded: Found) -> None:
    judged, best = folded.results["winner"], folded.results["best"]
    assert judged["selection"]["value"] == best["value"]
    assert judged["selection"]["low"] < best["value"] < judged["selection"]["high"]
    assert judged["optimism"]["value"] == pytest.approx(best["value"] - judged["test"]["value"])
    assert "mean over 3 folds" in folded.page.read_text("utf-8")
    assert "# chosen by accuracy as the mean over 3 folds" in folded.best.read_text("utf-8").replace("\n# ", " # ")


def test_the_intervals_of_the_verdict_are_those_of_the_mean_over_folds(folded: Found, tmp_path: Path) -> None:
    folder, best = shutil.copytree(folded.path, tmp_path / "copy"), folded.results["best"]
    folds = [Run(folder / best["run"] / f"fold-{number}") for number in (1, 2, 3)]
    labels, probabilities = read_predictions(folds[1], "test")
    write_predictions(folds[1], "test", labels, probabilities / 10, folds[1].classes())  # another scale, the same AUC
    mean = statistics.mean(run.metrics()["test"]["roc_auc"]["value"] for run in folds)
    runs = [Run(folder / name) for name in folded.results["winner"]["runs"]]
    with Trials(folder, None, SILENT) as trials:
        trials.plan = replace(trials.plan, by="roc_auc")
        judged = winner.judge(trials, best | {"value": mean}, runs, 3)
    for part in ("selection", "optimism"):
        assert judged[part]["low"] < judged[part]["value"] < judged[part]["high"]
    assert judged["selection"]["value"] == mean


def test_an_interrupted_trial_keeps_its_finished_folds(folded: Found, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        tune(START, runs=tmp_path, watcher=Interrupt(5), **FOLDED)
    listed = {row["run"]: row["status"] for row in list_runs(tmp_path)}
    assert listed["search-small-digits-1/trials/trial-2/fold-1"] == "finished"
    assert listed["search-small-digits-1/trials/trial-2/fold-2"] == "stopped"
    listen = Listen()
    again = tune(START, runs=tmp_path, watcher=listen, **FOLDED)
    assert told(again) == told(folded)
    trained = [event.run for event in listen.events if isinstance(event, Training) and "trials/" in event.run]
    assert trained[0].endswith("trials/trial-2/fold-2")
    assert not any("trial-1/" in run or run.endswith("trial-2/fold-1") for run in trained)


def test_another_number_of_folds_is_another_search(folded: Found, tmp_path: Path) -> None:
    (tmp_path / "search-small-digits-1").mkdir()
    (tmp_path / "search-small-digits-1" / "plan.json").write_bytes((folded.path / "plan.json").read_bytes())
    with pytest.raises(UsageError, match="folds: null, not 3"):
        tune(START, runs=tmp_path, **OPTIONS)
    with pytest.raises(UsageError, match="leave it out"):
        tune(START.replace({"data.folds": 3}), runs=tmp_path, **OPTIONS)
    assert json.loads((tmp_path / "search-small-digits-1" / "plan.json").read_text("utf-8"))["folds"] == 3
