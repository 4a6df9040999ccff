"""Judging a run again: on its own data set, on another one, calibrated, on corrupted images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tenfold import machine
from tenfold.data import open_dataset
from tenfold.data.dataset import Dataset
from tenfold.errors import UsageError
from tenfold.jobs.own_data import own_data
from tenfold.jobs.steps import time, write_report
from tenfold.progress import Watcher
from tenfold.progress.notebook import default_watcher
from tenfold.recipe import EvaluateSection
from tenfold.run import Run


def evaluate(run: Run, watcher: Watcher | None = None, csv: bool = False, *, splits: Sequence[str] = (),
             data: str | None = None, tta: str | None = None, calibrate: bool = False,
             corruptions: bool = False) -> dict[str, Any]:
    """Score a run's model again on the data set it was trained with, and renew its report.

    splits: those to score (default: validation and test). With `data`, a data set's name or URI, its split
    (default: test) is scored beside them, under `<data set>-<split>`. `tta` is test-time augmentation in place
    of the recipe's (`evaluate.tta`), scored beside them under `<split>_tta`. `calibrate` fits a temperature on the
    validation predictions and writes `calibration.json`; `corruptions` scores the corrupted test images and
    writes `corruptions.json`. Returns the metrics: split → metric → {"value", "low", "high"}. Raises
    RunError if the data set's content is no longer what it was, UsageError for a split that is not there,
    RecipeError for a `tta` that is none.
    """
    how = run.recipe().replace({} if tta is None else {"evaluate.tta": tta}).evaluate
    watcher = watcher or default_watcher()
    machine.check(watcher.notice)
    dataset = own_data(run, watcher)
    other = None if data is None else open_dataset(data, fetch=True, watcher=watcher)
    with run.writing():
        _judge(run, dataset, other, splits, csv, how, watcher)
        if calibrate:
            from tenfold.evaluation.calibration import calibrate as fit

            watcher.notice(f"temperature fitted on validation: {fit(run)['temperature']:.3f}")
        if corruptions:
            from tenfold.evaluation import score_corruptions

            score_corruptions(run, dataset, watcher)
        write_report(run, dataset, watcher=watcher)
    return run.metrics()


def _judge(run: Run, dataset: Dataset, other: Dataset | None, splits: Sequence[str], csv: bool,
           how: EvaluateSection, watcher: Watcher) -> None:
    """Score splits of the run's own data set, or of another one in place of it."""
    from tenfold import evaluation

    if other is not None:
        for split in splits or ("test",):
            evaluation.score_elsewhere(run, other, split, csv, how, dataset, watcher)
        return
    missing = [split for split in splits if split not in dataset.splits()]
    if missing:
        raise UsageError(f"--split: received {missing[0]}; choose from: {', '.join(dataset.splits())}")
    evaluation.score_run(run, dataset, splits or evaluation.EVALUATED, csv, how, watcher)
    time(run, dataset)
