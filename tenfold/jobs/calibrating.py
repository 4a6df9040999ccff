"""Fit the decision rules of a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import machine
from tenfold.counted import counted
from tenfold.data.dataset import Dataset
from tenfold.data.given.values import Data
from tenfold.errors import UsageError
from tenfold.evaluation.deciding import FALSE_REJECTS, Wanted, decide
from tenfold.jobs import exporting
from tenfold.jobs.known_answers import of_training
from tenfold.jobs.own_data import own_data
from tenfold.jobs.steps import write_report
from tenfold.progress import Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.run import Run

LEAST = 1e-6  # of a fraction that is asked for, and of what it leaves


def calibrate(run: Run | str | Path, *, levels: Sequence[float] = (), accuracy: float | None = None,
              false_rejects: float = FALSE_REJECTS, data: Data | None = None,
              watcher: Watcher | None = None) -> dict[str, Any]:
    """Fit a run's decision rules, judge them on its test split, and update its model, exports and report.

    run: a Run or its path. levels: of prediction sets, beside 90 and 95 %. accuracy: what accepted answers are
    guaranteed to reach; default: 99 %, or the plain accuracy if that is higher. false_rejects: the fraction of images
    of the classes that may be taken for unknown. data: the run's images again, if the run does not keep them.

    Returns the content of `decisions.json`. Raises UsageError for a value that is not between 0 and 1; RunError if
    the run has no validation split, if its data set has changed, or if another process is writing it.
    """
    if not isinstance(levels, Sequence | np.ndarray):
        raise UsageError(f"levels: received {levels!r}; expected a list of fractions, as in [0.8]")
    for name, values in (("levels", levels), ("accuracy", [accuracy]), ("false_rejects", [false_rejects])):
        wrong = [value for value in values if value is not None
                 and not (isinstance(value, Real) and LEAST <= float(value) <= 1 - LEAST)]
        if wrong:
            raise UsageError(f"{name}: received {wrong[0]!r}; expected a fraction between 0 and 1, as in 0.99")
    run, watcher = Run.open(run), chosen_watcher(watcher)
    machine.check(watcher.notice)
    with run.writing():
        dataset = own_data(run, watcher, data)
        found = fit_rules(run, dataset, Wanted(levels, accuracy, false_rejects), watcher)
        write_report(run, dataset, watcher=watcher)
    return found


def fit_rules(run: Run, dataset: Dataset, wanted: Wanted, watcher: Watcher) -> dict[str, Any]:
    """Fit the decision rules of a run whose lock the caller holds, and renew its exports, which hold them too."""
    former = exporting.names(run)
    found = decide(run, dataset, wanted, watcher, of_training(run, dataset, watcher))
    fitted = found["fitted"]
    images = counted(fitted["images"], "image" if fitted["split"] == "folds" else f"{fitted['split']} image")
    watcher.notice(f"decision rules fitted on {images}{' in folds' if fitted['split'] == 'folds' else ''}")
    if found["unknown"] is None:
        watcher.notice(f"no image is called unknown: {found['unknown_refused']}")
    exporting.renew(run, former, watcher)
    return found
