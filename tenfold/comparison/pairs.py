"""Compares models on the same test images: intervals over images and seeds, paired differences, tests."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import statistics as plain
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tenfold.comparison.groups import Group
from tenfold.comparison.leaderboard import Pair, Row
from tenfold.counted import counted
from tenfold.errors import RunError
from tenfold.evaluation import statistics
from tenfold.evaluation.folds import OverFolds, pooled
from tenfold.evaluation.metrics import metric
from tenfold.evaluation.predictions import read_predictions
from tenfold.evaluation.statistics import OverSeeds
from tenfold.evaluation.weighted import Predictions
from tenfold.registry import METRICS
from tenfold.run import Record, Run

EMPTY = {"value": None, "low": None, "high": None}


@dataclass(frozen=True)
class Spread:
    """The variation of a model's metrics over test images and seeds, or over images and folds.

    metrics: name → the metric on resamples of the images, with its variance over seeds or folds; correct: bool [n] for
    each run, whether it classifies each image correctly. Both are empty if predictions of a run are missing, NaN or
    infinite. whole: of a cross-validation, the predictions of all folds.
    """

    metrics: Mapping[str, OverSeeds]
    correct: Sequence[np.ndarray]
    whole: Predictions | None = None

    @property
    def known(self) -> bool:
        return bool(self.correct)

    @classmethod
    def of(cls, group: Group) -> Spread:
        """The spread of a group. All groups use the same resamples of the images."""
        if not all(run.has("predictions/test.parquet") for run in group.runs):
            return cls({}, ())
        predictions = [Predictions(*read_predictions(run, "test")) for run in group.runs]
        if not all(len(each.labels) and np.isfinite(each.probabilities).all() for each in predictions):
            return cls({}, ())
        names = METRICS.names()
        resampled = [_resampled(each, names) for each in predictions]
        count = min(len(each[0]) for each in resampled)
        by_run = np.array([[values[:count] for values in each] for each in resampled])
        observed = np.array([[metric(name)(each.labels, each.probabilities) for name in names] for each in predictions])
        correct = [each.correct for each in predictions]
        if group.folds:
            whole = pooled(predictions)
            together = _resampled(whole, names)
            values = [metric(name)(whole.labels, whole.probabilities) for name in names]
            folds = {name: OverFolds.over(
                metric(name).stretched(together[i], values[i], len(whole.labels)), by_run[:, i], observed[:, i],
                metric(name).as_fraction(values[i], [whole]))
                for i, name in enumerate(names)}
            return cls(folds, correct, whole)
        return cls({name: metric(name).over_seeds(by_run[:, i], observed[:, i], predictions)
                    for i, name in enumerate(names)}, correct)


def _resampled(predictions: Predictions, names: Sequence[str]) -> list[np.ndarray]:
    """The metrics of one run on the resamples: float64 [r] each."""
    spreads = statistics.bootstrap(predictions, [metric(name).function for name in names])
    return [statistics.deflated(spread, metric(name)(predictions.labels, predictions.probabilities))
            if metric(name).inflated else spread for name, spread in zip(names, spreads, strict=True)]


def row_of(group: Group, spread: Spread) -> Row:
    """The row of one model, from all its runs."""
    first, tests = group.runs[0], [run.metrics()["test"] for run in group.runs]
    environments = [run.environment() for run in group.runs]
    dataset = environments[0].get("dataset", {})
    speeds = [speed for run in group.runs if (speed := _speed(run)) is not None]
    machines = dict.fromkeys(f"{s['processor']}, {counted(s['threads'], 'thread')}" for s in speeds)
    return Row(
        model=group.name, recipe=first.recipe().name, dataset=str(dataset.get("name", "")),
        runs=tuple(run.name for run in group.runs),
        seeds=tuple(environment.get("seed") for environment in environments),
        metrics={name: _entry(name, [test.get(name, EMPTY) for test in tests], spread)
                 for name in METRICS.names()}, folds=group.folds,
        parameters=environments[0].get("model", {}).get("parameters"), model_bytes=_size(first),
        seconds=plain.mean(_seconds(run) for run in group.runs),
        images_per_second=plain.median(s["images_per_second"] for s in speeds) if speeds else None,
        machine=" and ".join(machines),
        test={"count": tests[0].get("count"), **dataset.get("splits", {}).get("test", {}),
              **_of_all_folds(group, tests)},
    )


def _of_all_folds(group: Group, tests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The test images of a cross-validation; empty for other runs."""
    if not group.folds:
        return {}
    return {"count": sum(test.get("count", 0) for test in tests),
            "source": f"{group.folds} folds of train, each predicted by the run that left it out"}


def _speed(run: Run) -> Record | None:
    """The measured speed of prediction; None if there is none or it is damaged."""
    with contextlib.suppress(RunError):
        return run.speed()
    return None


def _seconds(run: Run) -> float:
    """The training time: from the status; in runs of earlier versions, from the history."""
    noted = run.status().seconds
    return float(noted if noted is not None else sum(record.get("seconds", 0.0) for record in run.history()))


def _size(run: Run) -> int | None:
    return (run.path / "model.keras").stat().st_size if run.has("model.keras") else None


def _entry(name: str, entries: Sequence[Mapping[str, Any]], spread: Spread) -> dict[str, Any]:
    """The mean over the runs with its interval; for a single run, the entry of its metrics.

    Of a cross-validation, the value over all images, and the standard deviation over the folds.
    """
    values = [entry["value"] for entry in entries]
    if spread.whole is not None:
        value = metric(name)(spread.whole.labels, spread.whole.probabilities)
        low, high = metric(name).within(spread.metrics[name].uncertain.interval()) or (None, None)
        known = math.isfinite(value)
        return {"value": value if known else None, "low": low if known else None, "high": high if known else None,
                "sd": None if None in values else plain.stdev(values)}
    if len(values) == 1 or None in values:
        only = entries[0] if len(values) == 1 else EMPTY
        return {key: only.get(key) for key in EMPTY} | {"sd": None}
    mean, found = plain.mean(values), None
    if spread.known:
        found = metric(name).within(spread.metrics[name].uncertain.interval())
    low, high = found or (None, None)
    return {"value": mean, "low": low, "high": high, "sd": plain.stdev(values)}


def compare_pairs(rows: Sequence[Row], spreads: Sequence[Spread]) -> tuple[Pair, ...]:
    """All pairs of models with predictions, in the order of the rows; p-values are adjusted over all pairs."""
    known = [i for i, spread in enumerate(spreads) if spread.known]
    places = list(itertools.combinations(known, 2))
    exact = [_mcnemar(spreads[i], spreads[j]) for i, j in places]
    differences = [{name: _difference(name, rows, spreads, i, j) for name in METRICS.names()} for i, j in places]
    for name in METRICS.names():
        p = [math.nan if each[name]["p"] is None else each[name]["p"] for each in differences]
        for each, adjusted in zip(differences, statistics.holm(p), strict=True):
            each[name]["p_holm"] = adjusted if math.isfinite(adjusted) else None
    of_accuracy = [each["accuracy"]["p"] if p is None else p for p, each in zip(exact, differences, strict=True)]
    together = statistics.holm([math.nan if p is None else p for p in of_accuracy])
    for each, test, adjusted in zip(differences, exact, together, strict=True):
        if test is None:  # adjusted together with the pairs that have McNemar's test
            each["accuracy"]["p_holm"] = adjusted if math.isfinite(adjusted) else None
    return tuple(
        Pair(rows[i].model, rows[j].model, each, {"p": p, "p_holm": None if p is None else p_holm})
        for (i, j), each, p, p_holm in zip(places, differences, exact, together, strict=True))


def _mcnemar(first: Spread, second: Spread) -> float | None:
    """The p-value of McNemar's test; None if a model has several seeds, because the test compares single runs."""
    if len(first.correct) > 1 or len(second.correct) > 1:
        return None
    return statistics.mcnemar(first.correct[0], second.correct[0])


def _difference(name: str, rows: Sequence[Row], spreads: Sequence[Spread], i: int, j: int) -> dict[str, Any]:
    first, second = (rows[k].metrics[name]["value"] for k in (i, j))
    found, p = spreads[i].metrics[name].minus(spreads[j].metrics[name]).verdict()
    found = metric(name).difference_within(found)
    if first is None or second is None or found is None:
        return {**EMPTY, "p": None}
    return {"value": first - second, "low": found[0], "high": found[1], "p": p}


def tied_with_best(rows: Sequence[Row], pairs: Sequence[Pair], by: str) -> tuple[Row, ...]:
    """The rows with `tied` set: no significant difference from the best at the 5 % level, adjusted over all pairs."""
    if not rows:
        return ()
    significant = {pair.second: pair.significant(by) for pair in pairs if pair.first == rows[0].model}
    tied = [None if (found := significant.get(row.model)) is None else not found for row in rows[1:]]
    return (dataclasses.replace(rows[0], tied=True),
            *(dataclasses.replace(row, tied=each) for row, each in zip(rows[1:], tied, strict=True)))
