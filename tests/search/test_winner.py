"""The verdict on the winner of a search, also where trainings diverge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_searches import OPTIONS, START
from watchers import Listen

from tenfold.evaluation.folds import pooled
from tenfold.evaluation.metrics import metric
from tenfold.evaluation.weighted import Predictions
from tenfold.progress import SILENT
from tenfold.report.search import verdict
from tenfold.run import Run
from tenfold.search import tune, winner
from tenfold.search.space import Space
from tenfold.search.trials import Trials
from tenfold.search.tuning import Found


def test_a_start_that_diverges_has_no_score_and_is_trained_once(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = START.replace({"train.learning_rate": 1e30, "train.epochs": 1})
    space = Space.loads('[search]\n"train.learning_rate" = { choices = [1e30, 1e-2] }', start)
    options = OPTIONS | {"space": space, "sampler": "grid", "trials": 2, "final_seeds": 1}

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(winner, "judge", killed)
    with pytest.raises(KeyboardInterrupt):
        tune(start, runs=tmp_path, **options)
    monkeypatch.undo()
    listen = Listen()
    found = tune(start, runs=tmp_path, watcher=listen, **options)
    assert listen.trained == []  # neither the run that finished nor the one that diverged
    judged = found.results["winner"]
    assert judged["runs"] == ["final/small-tuned-1"]
    assert judged["test"]["value"] is not None
    assert judged["difference"] is None
    assert list(judged["diverged"]) == ["final/small-1"]
    assert "became" in judged["diverged"]["final/small-1"]
    text = found.page.read_text("utf-8")
    assert "unknown: one of the two has no test score" in text
    assert "final/small-1 diverged and has no test score: " in text


def test_a_chosen_recipe_that_diverges_with_new_seeds_has_no_score(found: Found) -> None:
    runs = [Run.open(found.path / name) for name in found.results["winner"]["runs"]]
    with Trials(found.path, None, SILENT) as trials:
        judged = winner.judge(trials, found.results["best"], runs[2:], 8)  # only those of the start finished
    assert judged["test"]["value"] is judged["optimism"]["value"] is judged["difference"] is None
    said = dict(verdict({**found.results, "winner": judged}))
    assert said["accuracy, test"] == "unknown: it diverged with every new seed"
    assert said["optimism"].startswith("unknown")


def test_the_interval_of_a_mean_over_folds_lies_around_it_however_high_their_probabilities_are() -> None:
    rng, folds = np.random.default_rng(0), list[Predictions]()
    for least in (0.0, 0.5):  # the networks of the folds give their classes probabilities of other heights
        labels = np.repeat([0, 1], 100)
        second = least + 0.5 / (1 + np.exp(-rng.normal(3 * labels, 1)))
        folds.append(Predictions(labels, np.stack([1 - second, second], axis=1)))
    over = winner.over_folds(folds, "roc_auc")
    mean = np.mean([metric("roc_auc")(fold.labels, fold.probabilities) for fold in folds])
    together = pooled(folds)
    assert metric("roc_auc")(together.labels, together.probabilities) < mean - 0.1
    assert over.mean.mean() == pytest.approx(mean, abs=0.003)
    low, high = over.uncertain.interval() or (1.0, 0.0)
    assert low < mean < high
