"""Overviews without training: the network of a recipe, the content of a data set, the runs in a directory."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.data.dataset import Dataset
from tenfold.data.splits import prepare, summary
from tenfold.errors import RunError, UsageError
from tenfold.jobs.own_data import open_data, with_source
from tenfold.progress import SILENT, Watcher
from tenfold.recipe import Recipe
from tenfold.run import Run
from tenfold.storage.files import write_whole
from tenfold.storage.paths import absent, check_file_name

if TYPE_CHECKING:
    from tenfold.models.summary import Summary

TRIALS = "trials"  # the directory of a search with the runs that chose the best recipe


def network(
    recipe: Recipe, source: str, watcher: Watcher = SILENT
) -> tuple[tuple[int, int, int], list[str], Summary, str]:
    """(image shape, class names, summary, table of layers) of a recipe's network for a data set."""
    from tenfold.models.summary import Summary, layer_table

    recipe = with_source(recipe, source)
    dataset = prepare(open_data(recipe, watcher), recipe.data)
    network = recipe.model, dataset.shape, len(dataset.classes)
    return dataset.shape, list(dataset.classes), Summary.of(*network), layer_table(*network)


def show_data(recipe: Recipe, watcher: Watcher, *, prepared: bool) -> tuple[Dataset, dict[str, Any]]:
    """(data set, summary) of a recipe's source, with the splits of the source or, if `prepared`, of the recipe."""
    dataset = open_data(recipe, watcher)
    if prepared:
        dataset = prepare(dataset, recipe.data)
    return dataset, summary(dataset)


def list_runs(root: Path) -> list[dict[str, Any]]:
    """All runs in a directory, its studies and searches: run, data, status, epochs, test accuracy, age in seconds.

    A run with damaged files has the status "damaged". Raises UsageError if there is no such directory.
    """
    reason = absent(root, "directory") or (None if root.is_dir() else "is a file")
    if reason:
        raise UsageError(f"{root}: {reason}; expected one with runs, made by `tenfold train --runs DIR`")
    groups = _without_status(root)
    folders = [root, *(folder for group in groups for folder in (
        group, group / TRIALS, *_without_status(group / TRIALS), group / "final"))]
    return [_facts(run, root, scored=TRIALS not in folder.relative_to(root).parts) for folder in folders
            for run in Run.list(folder)]


def _without_status(folder: Path) -> list[Path]:
    """The directories in it that are no runs: studies, searches, cross-validations."""
    return [path for path in sorted(folder.glob("[!.]*/")) if not (path / "status.json").exists()]


def _facts(run: Run, root: Path, scored: bool) -> dict[str, Any]:
    """The facts of a run; scored: whether its test accuracy is one (that of a trial's fold chooses the best trial)."""
    facts: dict[str, Any] = {"run": str(run.path.relative_to(root)), "data": "–", "status": "damaged", "epochs": 0,
                             "accuracy": None,
                             "age_seconds": max(0.0, time.time() - (run.path / "status.json").stat().st_mtime)}
    with contextlib.suppress(RunError):
        facts["data"] = run.recipe().data.source
        facts["epochs"] = len(run.history())
        if scored and run.has("metrics.json"):
            facts["accuracy"] = run.metrics().get("test", {}).get("accuracy")
        facts["status"] = run.status().state.value
    return facts


def write_class_grid(dataset: Dataset, path: Path, per_class: int, seed: int) -> None:
    """Write a PNG with random training examples of each class, chosen by `seed`. Raises StorageError, UsageError."""
    check_file_name("png", path, ".png")
    from tenfold.report.plots import class_grid

    figure = class_grid(dataset.train.images, dataset.train.labels, dataset.classes, per_class, seed)
    write_whole(path, lambda target: figure.savefig(target, dpi=150, format="png"))
