"""Evaluate a run again: on its own data set, on another one, calibrated, on corrupted images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tenfold import machine
from tenfold.data import open_dataset
from tenfold.data.dataset import Dataset
from tenfold.errors import UsageError
from tenfold.jobs.own_data import own_data
from tenfold.jobs.steps import measure_speed, write_report
from tenfold.progress import Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.recipe import EvaluateSection
from tenfold.run import Run


def evaluate(run: Run, watcher: Watcher | None = None, csv: bool = False, *, splits: Sequence[str] = (),
             data: str | None = None, tta: str | None = None, calibrate: bool = False,
             corruptions: bool = False) -> dict[str, Any]:
    """Evaluate a run's model again on the data set it was trained on, and update its report.

    splits: the splits to evaluate (default: validation and test). data: name or URI of another data set to evaluate on
    instead; its split (default: test) is stored as `<data set>-<split>`. tta: test-time augmentation, instead of the
    recipe's `evaluate.tta`; its results are stored as `<split>_tta`. calibrate: fit a temperature on the validation
    predictions and write `calibration.json`. corruptions: evaluate on corrupted test images and write
    `corruptions.json`.

    Returns the metrics: split → metric → {"value", "low", "high"}. Raises RunError if the content of the data set has
    changed, UsageError for an unknown split, RecipeError for an unknown `tta`.
    """
    how = run.recipe().replace({} if tta is None else {"evaluate.tta": tta}).evaluate
    watcher = chosen_watcher(watcher)
    machine.check(watcher.notice)
    dataset = own_data(run, watcher)
    other = None if data is None else open_dataset(
        data, fetch=True, watcher=watcher, section=run.recipe().replace({"data.group": "none"}).data,
        shape=run.environment().shape)
    with run.writing():
        _evaluate_splits(run, dataset, other, splits, csv, how, watcher)
        if calibrate:
            from tenfold.evaluation.calibration import calibrate as fit

            watcher.notice(f"temperature fitted on the validation split: {fit(run)['temperature']:.3f}")
        if corruptions:
            from tenfold.evaluation import score_corruptions

            score_corruptions(run, dataset, watcher)
        write_report(run, dataset, watcher=watcher)
    return run.metrics()


def _evaluate_splits(run: Run, dataset: Dataset, other: Dataset | None, splits: Sequence[str], csv: bool,
                     how: EvaluateSection, watcher: Watcher) -> None:
    """Evaluate splits of the run's own data set or, if given, of the other one."""
    from tenfold import evaluation

    if other is not None:
        for split in splits or ("test",):
            evaluation.score_elsewhere(run, other, split, csv, how, dataset, watcher)
        return
    missing = [split for split in splits if split not in dataset.splits()]
    if missing:
        raise UsageError(f"--split: received {missing[0]}; choose from: {', '.join(dataset.splits())}")
    evaluation.score_run(run, dataset, splits or evaluation.EVALUATED, csv, how, watcher)
    measure_speed(run, dataset)
