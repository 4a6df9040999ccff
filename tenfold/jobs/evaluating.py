"""Evaluate a run again: on its own data set, on another one, calibrated, on corrupted images."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tenfold import machine
from tenfold.counted import counted
from tenfold.data import open_dataset
from tenfold.data.dataset import Dataset
from tenfold.data.given.values import Data
from tenfold.data.splits import prepare
from tenfold.errors import UsageError, type_of
from tenfold.jobs.calibrating import Wanted, fit_rules
from tenfold.jobs.own_data import is_data_of, own_data, value
from tenfold.jobs.steps import measure_speed, write_report
from tenfold.progress import SILENT, Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.recipe import EvaluateSection
from tenfold.run import Run


def evaluate(run: Run | str | Path, watcher: Watcher | None = None, csv: bool = False, *, splits: Sequence[str] = (),
             data: Data | None = None, tta: str | None = None, calibrate: bool = False,
             corruptions: bool = False) -> dict[str, Any]:
    """Evaluate a run's model again on the data set it was trained on, and update its report.

    run: a Run or its path. splits: the splits to evaluate (default: validation and test). data: another data set to
    evaluate on instead (see `train`); its split (default: test, or all images if there are no splits) is stored as
    `<data set>-<split>`. The run's own images, given again as values, are evaluated as its own. tta: test-time
    augmentation, instead of the recipe's `evaluate.tta`; its results are stored as `<split>_tta`. calibrate: also do
    what `calibrate` does by default. corruptions: evaluate on corrupted test images and write `corruptions.json`.

    Returns the metrics: split → metric → {"value", "low", "high"}. Raises RunError if the content of the data set has
    changed, UsageError for an unknown split, RecipeError for an unknown `tta`.
    """
    run, splits = Run.open(run), (splits,) if isinstance(splits, str) else splits
    if not isinstance(splits, list | tuple):
        raise UsageError(f"splits: received {type_of(splits)}; expected a list of names, such as [\"test\"]")
    how = run.recipe().replace({} if tta is None else {"evaluate.tta": tta}).evaluate
    watcher = chosen_watcher(watcher)
    machine.check(watcher.notice)
    with run.writing():  # first: a run that another process writes is refused before any data are read
        again, other = _given(run, data, watcher)
        dataset = again or own_data(run, watcher if other is None else SILENT)  # not the files that were given
        _evaluate_splits(run, dataset, other, splits, csv, how, watcher)
        if calibrate:
            fit_rules(run, dataset, Wanted(), watcher)
        if corruptions:
            from tenfold.evaluation import score_corruptions

            score_corruptions(run, dataset, watcher)
        write_report(run, dataset, watcher=watcher)
    return run.metrics()


def _given(run: Run, data: Data | None, watcher: Watcher) -> tuple[Dataset | None, Dataset | None]:
    """(the run's own data set, another one): what `data` is; a name, a URI or a path is always another one."""
    if data is None:
        return None, None
    recipe, shape = run.recipe(), run.environment().shape
    if isinstance(data, str | Path):
        return None, open_dataset(str(data), fetch=True, watcher=watcher,
                                  section=recipe.replace({"data.group": "none"}).data, shape=shape)
    if isinstance(data, Mapping) and list(data) == ["test"]:
        data = data["test"]  # other images need not be split
    given = value(recipe, data, watcher, shape=shape)
    with contextlib.suppress(UsageError):  # other data need not have the run's classes, or enough images for its splits
        again = prepare(given, recipe.data)
        if is_data_of(run, again):
            return again, None
    return None, given


def _default_split(other: Dataset, watcher: Watcher) -> str:
    """The split of another data set to evaluate: test, or all of its images if they are in no splits."""
    present = list(other.splits())
    if present != ["train"]:
        return "test"
    watcher.notice(f"{other.name} has no test split: evaluating on all of its {counted(len(other.train), 'image')}")
    return "train"


def _evaluate_splits(run: Run, dataset: Dataset, other: Dataset | None, splits: Sequence[str], csv: bool,
                     how: EvaluateSection, watcher: Watcher) -> None:
    """Evaluate splits of the run's own data set or, if given, of the other one."""
    from tenfold import evaluation

    if other is not None:
        for split in splits or (_default_split(other, watcher),):
            evaluation.score_elsewhere(run, other, split, csv, how, dataset, watcher)
        return
    missing = [split for split in splits if split not in dataset.splits()]
    if missing:
        raise UsageError(f"split: received {missing[0]}; choose from: {', '.join(dataset.splits())}")
    evaluation.score_run(run, dataset, splits or evaluation.EVALUATED, csv, how, watcher)
    measure_speed(run, dataset)
