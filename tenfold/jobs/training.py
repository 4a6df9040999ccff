"""Training a recipe on a data set: a complete run."""

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
from tenfold.jobs.own_data import check_data, prepared, with_source
from tenfold.jobs.resuming import go_on
from tenfold.progress import Watcher
from tenfold.progress.notebook import default_watcher
from tenfold.recipe import Recipe
from tenfold.run import Run, State, check_name


def train(
    recipe: Recipe | str | Path, data: Dataset | str | None = None, callbacks: Sequence[Any] = (), *,
    runs: str | Path = "runs", name: str | None = None, csv: bool = False, h5: bool = False, resume: bool = False,
    watcher: Watcher | None = None,
) -> Run:
    """Train a recipe on a data set, evaluate the best model and write the report: a complete run.

    `recipe` is a Recipe, a shipped recipe's name or a TOML file; `data` a Dataset, a data set's name or
    URI, or None for the recipe's own source. `callbacks` are `keras.callbacks.Callback`s. The run is
    `runs/<name>-<number>`, by default named after the recipe and the data set. `csv` writes predictions
    as CSV as well, `h5` the model as `model.h5`. What names missing public data has it downloaded.
    `resume` goes on with the newest run of that name and recipe that was stopped, died or failed, and keeps
    one that is finished, if there is one.

    Raises a TenfoldError: before anything is written if the input is wrong or the disk has too little
    room; DivergedError if the loss became NaN or infinite (the run then has status "diverged" and its last
    finite weights); StorageError if the disk fails on the way (the last checkpoint is kept).
    """
    watcher = watcher or default_watcher()
    machine.check(watcher.notice)
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    if name is not None:
        check_name(name)
    if data is not None:
        recipe = with_source(recipe, data.uri if isinstance(data, Dataset) else data)
    with Interrupt() as interrupt:
        watcher = Interruptible(watcher, interrupt)
        dataset = prepared(recipe, data if isinstance(data, Dataset) else None, watcher)
        job = Job(recipe, dataset, callbacks, watcher, interrupt, csv, h5)
        name = name or f"{recipe.name}-{dataset.name}"
        found = _begun(runs, name, recipe) if resume else None
        if found is None:
            return _start(job, Path(runs), name)
        if found.status().state is State.FINISHED:
            check_data(found, dataset)
            watcher.notice(f"{found.path} is finished already")
            return found
        return go_on(job, found)


def probe(backbone: str, data: Dataset | str | None = None, overrides: Mapping[str, Any] | None = None, *,
          runs: str | Path = "runs", name: str | None = None, watcher: Watcher | None = None) -> Run:
    """Fit a logistic regression on the features of a frozen backbone: a complete run, as `train` makes them.

    `backbone` is what `model.backbone` takes, `overrides` are values of the recipe by key. Raises as `train` does.
    """
    recipe = Recipe.from_dict(probe_sections(backbone), name="probe", overrides=overrides)
    return train(recipe, data, runs=runs, name=name, watcher=watcher)


def probe_sections(backbone: str) -> dict[str, Any]:
    """The sections of a probe's recipe."""
    return {"model": {"name": "pretrained", "backbone": backbone, "trainable": "none"},
            "train": {"fit": "logistic-regression", "epochs": 1}}


def seeds(recipe: Recipe, count: int) -> list[Recipe]:
    """The recipe `count` times, with the seeds that follow its own."""
    return [recipe.replace({"train.seed": recipe.train.seed + i}) for i in range(count)]


def _begun(runs: str | Path, name: str, recipe: Recipe) -> Run | None:
    """The newest run of that name and recipe that is finished or can be resumed; unreadable ones are passed over."""
    for run in reversed(Run.list(runs)):
        with contextlib.suppress(RunError):
            state = run.status().state
            fits = state.can_resume or state is State.FINISHED
            if fits and run.name.rpartition("-")[0] == name and run.recipe() == recipe:
                return run
    return None


def _start(job: Job, runs: Path, name: str) -> Run:
    """Make a run and do the job there."""
    plan = Plan.of(job, runs)
    run = Run.create(runs, name, job.recipe)
    with run.writing():
        steps.do(job, run, plan)
    return run
