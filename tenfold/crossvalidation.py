"""Cross-validation: train a recipe once without each fold, and judge it on all images, each predicted once.

Its only state is its runs: an interrupted cross-validation continues from the runs in its directory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import jobs, machine
from tenfold.comparison import Row, over_seeds
from tenfold.counted import counted
from tenfold.data import data_name
from tenfold.data.dataset import Dataset
from tenfold.data.folds import fold_numbers
from tenfold.data.splits import prepare
from tenfold.errors import RunError
from tenfold.evaluation.folds import pooled
from tenfold.evaluation.predictions import read_predictions
from tenfold.evaluation.scores import score
from tenfold.evaluation.weighted import Predictions
from tenfold.jobs import executors
from tenfold.jobs.own_data import open_data, with_source
from tenfold.jobs.own_model import check_backbone
from tenfold.progress import Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.recipe import DataSection, Recipe
from tenfold.registry import METRICS
from tenfold.report.folds import page
from tenfold.report.plots import Material
from tenfold.run import ELSEWHERE, FOLDS_FILE, Run, check_name, check_root, make_numbered, numbers
from tenfold.storage.files import write_whole

PAGE = "folds.html"


@dataclass(frozen=True)
class CrossValidation:
    """The result: its directory, the runs in the order of their folds, the summary, `folds.json`, and the page."""

    path: Path
    runs: tuple[Run, ...]
    row: Row
    results: Mapping[str, Any]
    page: Path


def cross_validate(recipe: Recipe | str | Path, data: str | None = None, folds: int = 5, *,
                   overrides: Mapping[str, Any] | None = None, runs: str | Path = "runs", name: str | None = None,
                   csv: bool = False, resume: bool = False, workers: int | None = None,
                   on: str | None = None, watcher: Watcher | None = None) -> CrossValidation:
    """Train a recipe `folds` times, each time without one fold of the training images, and score it on that fold.

    recipe, data, overrides, csv: as for `train`. The folds are stratified, keep groups whole, and depend on
    `data.seed`. They divide all training images; a test split of the source is not used. Each training holds its
    validation images out of the other folds. The runs, `folds.json` and `folds.html` go into a new directory
    `<runs>/<name>-<number>`, by default `<recipe>-<data>-folds-<number>`. resume: use the last such directory with
    these recipes, if there is one; finished runs are kept. workers, on: as for `conduct`.

    Raises a TenfoldError before anything is written if the input is invalid; the error of a fold whose training fails.
    """
    watcher = chosen_watcher(watcher)
    machine.check(watcher.notice)
    recipe = Recipe.load(recipe, overrides)
    check_backbone(recipe)
    recipe = with_source(recipe, recipe.data.source if data is None else data)
    check_root(Path(runs))
    name = name or f"{recipe.name}-{data_name(recipe.data.source)}-folds"
    check_name(name)
    recipes = jobs.in_folds(recipe.replace({"data.test": 0}), folds)
    dataset = open_data(recipe, watcher)
    _check(recipes[0], dataset, watcher)
    workers = executors.chosen_workers(workers, on)
    folder = _folder(Path(runs), name, recipes if resume else ())
    calls = [partial(jobs.train, each, runs=folder, name=f"fold-{each.data.fold}", csv=csv, resume=True)
             for each in recipes]
    found = {index: executors.result(outcome) for index, outcome in executors.run_all(
        calls, workers, watcher, on)}
    trained = tuple(found[index] for index in sorted(found))
    row = over_seeds(trained)
    if row is None:
        raise RunError(f"{folder}: its data set changed between the folds; restore it, or start a new cross-validation")
    return _written(folder, trained, row, prepare(dataset, _undivided(recipes[0])))


def _check(recipe: Recipe, dataset: Dataset, watcher: Watcher) -> None:
    from tenfold.training import check

    if dataset.test is not None:
        watcher.notice(f"the test split ({counted(len(dataset.test), 'image')}) is not used: the folds take its place")
    check(recipe, prepare(dataset, recipe.data), watcher)


def _folder(runs: Path, name: str, resumed: Sequence[Recipe]) -> Path:
    """The last directory of that name with only runs of the recipes to resume, or a new one."""
    for number in reversed(numbers(runs, name) if resumed else []):
        folder = runs / f"{name}-{number}"
        if all(run.recipe() in resumed for run in Run.list(folder)):
            return folder
    return make_numbered(runs, name)


def _undivided(recipe: Recipe) -> DataSection:
    """The section of a recipe that keeps all images that its folds divide."""
    return recipe.data.model_copy(update={"folds": None, "validation": 0, "train_size": None})


def _written(folder: Path, runs: Sequence[Run], row: Row, dataset: Dataset) -> CrossValidation:
    """Write `folds.json` and `folds.html`. dataset: its training images are those that the folds divide."""
    parts = [Predictions(*read_predictions(run, "test")) for run in runs]
    whole, classes = pooled(parts), runs[0].classes()
    scores = score(whole.labels, whole.probabilities, classes) | dict(row.metrics)
    each = [{"fold": number, "run": run.name, "images": len(part.labels), "epochs": len(run.history()),
             "seconds": run.status().seconds,
             "metrics": {metric: run.metrics()["test"].get(metric) for metric in METRICS.names()}}
            for number, (run, part) in enumerate(zip(runs, parts, strict=True), 1)]
    results = {"name": folder.name, "recipe": row.recipe, "data": row.dataset, "folds": len(runs),
               "images": len(whole.labels), "seed": runs[0].recipe().data.seed, **scores, "runs": each}
    text = json.dumps(results, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_whole(folder / FOLDS_FILE, text, ELSEWHERE)
    train, section = dataset.train, runs[0].recipe().data
    order = np.argsort(fold_numbers(train.labels, train.groups, len(runs), section.seed), kind="stable")
    material = Material(classes=classes, metrics={"test": scores},
                        test=(train.take(order).images, whole.labels, whole.probabilities))
    write_whole(folder / PAGE, page(results, row.metrics, material), ELSEWHERE)
    return CrossValidation(folder, tuple(runs), row, results, folder / PAGE)
