"""Train a recipe on a data set into a complete run."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tenfold import machine
from tenfold.data.dataset import Dataset
from tenfold.errors import RunError
from tenfold.interrupt import Interrupt
from tenfold.jobs import steps
from tenfold.jobs.job import Interruptible, Job, Plan
from tenfold.jobs.learning_curve import check
from tenfold.jobs.own_data import check_data, prepared, with_source
from tenfold.jobs.resuming import continue_run
from tenfold.progress import Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.recipe import Recipe
from tenfold.run import Run, State, check_name, check_root


def train(
    recipe: Recipe | str | Path, data: Dataset | str | None = None, callbacks: Sequence[Any] = (), *,
    runs: str | Path = "runs", name: str | None = None, csv: bool = False, h5: bool = False, resume: bool = False,
    learning_curve: bool = False, watcher: Watcher | None = None,
) -> Run:
    """Train a recipe on a data set, evaluate the best model and write the report. Returns the complete run.

    recipe: a Recipe, the name of a shipped recipe or a TOML file. data: a Dataset, the name or URI of a data set, or
    None for the recipe's own source; missing public data are downloaded. callbacks: `keras.callbacks.Callback`s.
    runs, name: the run directory is `<runs>/<name>-<number>`; the default name is that of recipe and data set. csv:
    also write the predictions as CSV. h5: also write the model as `model.h5`. resume: if there is a run with that name
    and recipe, resume the newest one that was stopped, died or failed, or return it if it is finished. learning_curve:
    also measure what more training images would bring (only for a logistic regression).

    Raises a TenfoldError before anything is written if the input is invalid or the disk space is too small;
    DivergedError if the loss became NaN or infinite (the run then has the status "diverged" and its last finite
    weights); StorageError if the disk fails during training (the last checkpoint is kept).
    """
    watcher = chosen_watcher(watcher)
    machine.check(watcher.notice)
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    check_root(Path(runs))
    check_name(name or recipe.name)
    if learning_curve:
        check(recipe)
    recipe = recipe.replace({"data.source": data.uri}) if isinstance(data, Dataset) else \
        with_source(recipe, data or recipe.data.source)
    with Interrupt() as interrupt:
        watcher = Interruptible(watcher, interrupt)
        dataset = prepared(recipe, data if isinstance(data, Dataset) else None, watcher)
        job = Job(recipe, dataset, callbacks, watcher, interrupt, csv, h5, learning_curve)
        name = name or f"{recipe.name}-{dataset.name}"
        found = _newest_run(runs, name, recipe) if resume else None
        if found is None:
            return _start(job, Path(runs), name)
        if found.status().state is State.FINISHED:
            check_data(found, dataset)
            watcher.notice(f"{found.path} is already finished")
            return found
        return continue_run(job, found)


def probe(backbone: str, data: Dataset | str | None = None, overrides: Mapping[str, Any] | None = None, *,
          runs: str | Path = "runs", name: str | None = None, watcher: Watcher | None = None) -> Run:
    """Fit a logistic regression on the features of a frozen backbone. Returns a complete run, like `train`.

    backbone: a value of `model.backbone`. overrides: values of the recipe by key. Raises the same errors as `train`.
    """
    recipe = Recipe.from_dict(probe_sections(backbone), name="probe", overrides=overrides)
    return train(recipe, data, runs=runs, name=name, watcher=watcher)


def probe_sections(backbone: str) -> dict[str, Any]:
    """The sections of a probe's recipe."""
    return {"model": {"name": "pretrained", "backbone": backbone, "trainable": "none"},
            "train": {"fit": "logistic-regression", "epochs": 1}}


def seeds(recipe: Recipe, count: int) -> list[Recipe]:
    """The recipe with `count` consecutive seeds, starting with its own."""
    return [recipe.replace({"train.seed": recipe.train.seed + i}) for i in range(count)]


def _newest_run(runs: str | Path, name: str, recipe: Recipe) -> Run | None:
    """The newest run with that name and recipe that is finished or can be resumed; unreadable runs are skipped."""
    for run in reversed(Run.list(runs)):
        with contextlib.suppress(RunError):
            state = run.status().state
            fits = state.can_resume or state is State.FINISHED
            if fits and run.name.rpartition("-")[0] == name and run.recipe() == recipe:
                return run
    return None


def _start(job: Job, runs: Path, name: str) -> Run:
    """Create a run directory and do the job in it."""
    plan = Plan.of(job, runs)
    run = Run.create(runs, name, job.recipe)
    with run.writing():
        steps.do(job, run, plan)
    return run
