"""The honest verdict on the winner of a search: trained again with other seeds, scored once on the test split.

The validation score of the best trial is the largest of many, so it is too good on average. Here the chosen recipe and
the recipe that the search began from are trained with seeds that no trial used. The test split chooses nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import jobs
from tenfold.comparison import Leaderboard, compare
from tenfold.errors import DivergedError, RunError
from tenfold.evaluation import statistics
from tenfold.evaluation.folds import OverFolds, pooled
from tenfold.evaluation.metrics import metric
from tenfold.evaluation.predictions import read_predictions
from tenfold.evaluation.statistics import OverSeeds
from tenfold.evaluation.weighted import Predictions
from tenfold.jobs import executors
from tenfold.progress import Watcher
from tenfold.recipe import Recipe
from tenfold.run import Run, State
from tenfold.search.results import tuned
from tenfold.search.trials import Trials

FOLDER = "final"  # the directory of these runs
EMPTY = {"value": None, "low": None, "high": None}
STREAM = 1  # of the resamples of the validation images, or of the first fold, independent of those of the test images


def finalists(trials: Trials, best: Mapping[str, Any], seeds: int) -> list[Recipe]:
    """The recipes to train: the chosen one and, if it differs, the one of the start, each with seeds of its own."""
    chosen, start = tuned(trials, best), trials.start
    same = chosen.replace({}).to_dict() | {"name": ""} == start.to_dict() | {"name": ""}
    fresh = [start.train.seed + 1 + i for i in range(seeds)]
    return [recipe.replace({"train.seed": seed}) for recipe in ([chosen] if same else [chosen, start])
            for seed in fresh]


def train(trials: Trials, recipes: Sequence[Recipe], workers: int, watcher: Watcher,
          on: str | None = None) -> list[Run]:
    """Train the finalists, or continue them: their runs, each of which finished or diverged; those that did are kept.
    """
    folder = trials.folder / FOLDER
    ended = {number: run for number, recipe in enumerate(recipes) if (run := _diverged(folder, recipe)) is not None}
    left = [number for number in range(len(recipes)) if number not in ended]
    calls = [partial(jobs.train, recipes[number], trials.data, runs=folder, name=recipes[number].name, resume=True)
             for number in left]
    for place, outcome in executors.run_all(calls, workers, watcher, on):
        run = _diverged(folder, recipes[left[place]]) if isinstance(outcome, DivergedError) else None
        ended[left[place]] = run or executors.result(outcome)
    return [ended[number] for number in sorted(ended)]


def _diverged(folder: Path, recipe: Recipe) -> Run | None:
    """The run of a finalist that diverged; trained again, it would only diverge again."""
    for run in Run.list(folder):
        with contextlib.suppress(RunError):
            if run.status().state is State.DIVERGED and _but_source(run.recipe()) == _but_source(recipe):
                return run
    return None


def _but_source(recipe: Recipe) -> dict[str, Any]:
    """A recipe without the name of its data set, which a run writes in full."""
    tree = recipe.to_dict()
    return tree | {"data": {**tree["data"], "source": None}}


def judge(trials: Trials, best: Mapping[str, Any], runs: Sequence[Run], looked_at: int) -> dict[str, Any]:
    """The verdict as plain values.

    "selection": the validation score of the best trial, or its score over all folds; "test": the mean over the final
    runs, with its interval over images and seeds; "optimism": how much better the former looks, with its interval;
    "difference": the chosen recipe minus the start, with its interval and the p-value of the paired test (None if they
    are the same recipe, or if all runs of one of them diverged); "trials": the number of trials that were looked at;
    "leaderboard": both recipes; "diverged": the reason of each final run that has no score because it diverged.
    """
    by, name = trials.plan.by, tuned(trials, best).name
    finished = [run for run in runs if run.status().state is State.FINISHED]
    selection, selected = _selection(trials, best, by)
    found = {"trial": best["number"], "changes": best["changes"], "trials": looked_at, "selection": selection,
             "test": EMPTY, "optimism": EMPTY, "difference": None, "runs": [f"{FOLDER}/{run.name}" for run in finished],
             "leaderboard": [],
             "diverged": {f"{FOLDER}/{run.name}": run.status().reason for run in runs if run not in finished}}
    if chosen := [run for run in finished if run.recipe().name == name]:
        board = compare(finished, by)
        row = next(row for row in board if set(row.runs) == {run.name for run in chosen})
        found |= {"test": dict(row.metrics[by]), "optimism": _optimism(selection["value"], selected, chosen, by),
                  "difference": _difference(board, row.model, by), "leaderboard": board.to_dict()["rows"]}
    return found


def _selection(trials: Trials, best: Mapping[str, Any], by: str) -> tuple[dict[str, Any], OverSeeds]:
    """(the score that chose the best trial, with its interval; the same on resamples of its images)."""
    path, folds = trials.folder / str(best["run"]), trials.plan.folds
    if folds is None:
        selected = Run(path)
        entry = {key: selected.metrics()["validation"][by][key] for key in ("value", "low", "high")}
        chosen_by = _read(selected, "validation")
        value, resampled = _resampled(chosen_by, by, STREAM)
        return entry, metric(by).over_seeds(resampled[None], np.array([value]), [chosen_by])
    over = over_folds([_read(Run(path / f"fold-{number}"), "test") for number in range(1, folds + 1)], by)
    low, high = metric(by).within(over.uncertain.interval()) or (None, None)
    return {"value": best["value"], "low": low, "high": high}, OverSeeds(over.mean, 0.0, 1, fraction=over.fraction)


def over_folds(folds: Sequence[Predictions], by: str) -> OverFolds:
    """The mean of a metric over folds, each on resamples of its own images.

    Of all images together it would be another measure: a lower ROC-AUC, because the networks of the folds differ in how
    high their probabilities are.
    """
    found = [_resampled(fold, by, STREAM + number) for number, fold in enumerate(folds)]
    count = min(len(values) for _, values in found)
    by_fold = np.array([values[:count] for _, values in found])
    observed = np.array([value for value, _ in found])
    fraction = metric(by).as_fraction(float(observed.mean()), [pooled(folds)])
    images = sum(len(fold.labels) for fold in folds)
    mean = metric(by).stretched(by_fold.mean(axis=0), float(observed.mean()), images)
    return OverFolds.over(mean, by_fold, observed, fraction)


def _optimism(selection: float, selected: OverSeeds, chosen: Sequence[Run], by: str) -> dict[str, Any]:
    """By how much the score that chose the best trial is better than the test score, with its 95 % interval."""
    known = metric(by)
    predictions = [_read(run, "test") for run in chosen]
    tests = [_resampled(each, by, 0) for each in predictions]
    observed = np.array([value for value, _ in tests])
    count = min(len(selected.mean), len(tests[0][1]))
    tested = known.over_seeds(np.array([values[:count] for _, values in tests]), observed, predictions)
    selected = dataclasses.replace(selected, mean=selected.mean[:count])
    found = known.difference_within(selected.minus(tested).interval())
    sign = 1 if known.higher_is_better else -1
    value = sign * (selection - float(observed.mean()))
    low, high = sorted(sign * end for end in found) if found else (None, None)
    return {"value": value if math.isfinite(value) else None, "low": low, "high": high}


def _read(run: Run, split: str) -> Predictions:
    return Predictions(*read_predictions(run, split))


def _resampled(predictions: Predictions, by: str, stream: int) -> tuple[float, np.ndarray]:
    """(the metric, the metric on resamples of the images: float64 [r])."""
    known = metric(by)
    value = known(predictions.labels, predictions.probabilities)
    values, = statistics.bootstrap(predictions, [known.function], seed=stream)
    return value, statistics.deflated(values, value) if known.inflated else values


def _difference(board: Leaderboard, chosen: str, by: str) -> dict[str, Any] | None:
    """The chosen recipe minus the start on the same test images, with the p-value of the paired test."""
    if not board.pairs:
        return None
    pair, = board.pairs
    entry, p = pair.differences[by], pair.test(by)["p"]
    value, low, high = entry["value"], entry["low"], entry["high"]
    if pair.first != chosen:
        value, low, high = (None if each is None else -each for each in (value, high, low))
    return {"value": value, "low": low, "high": high, "p": p}
