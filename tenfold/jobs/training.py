"""Train a recipe on a data set into a complete run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tenfold import machine
from tenfold.arguments import path, whole
from tenfold.data.given.values import Data
from tenfold.errors import RunError
from tenfold.interrupt import Interrupt
from tenfold.jobs import own_data, steps
from tenfold.jobs.checking import FILE as INSPECTION
from tenfold.jobs.checking import before_training
from tenfold.jobs.job import Interruptible, Job, Plan, listed
from tenfold.jobs.learning_curve import check
from tenfold.jobs.own_data import check_data, choose
from tenfold.jobs.own_model import keep_model, recipe_of
from tenfold.jobs.ranks import check as check_ranks
from tenfold.jobs.resuming import continue_run
from tenfold.progress import SILENT, Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.recipe import Recipe
from tenfold.report.apart import second_process
from tenfold.run import Run, State, check_name, check_root


def train(
    recipe: Any, data: Data | None = None, callbacks: Any = (), *, overrides: Mapping[str, Any] | None = None,
    runs: str | Path = "runs", name: str | None = None, csv: bool = False, h5: bool = False, resume: bool = False,
    learning_curve: bool = False, teacher: Run | str | Path | None = None, ranks: int = 1,
    min_ranks: int = 1, on: str | None = None, watcher: Watcher | None = None,
) -> Run:
    """Train a recipe on a data set, evaluate the best model and write the report. Returns the complete run.

    recipe: a Recipe, the name of a shipped recipe, a TOML file, a dictionary of sections, or a Keras classifier (see
    `docs/python.md`). overrides: values of the recipe by key. data: the name, URI or path
    of a data set, labelled images as Python values (see `docs/python.md`), or None for the recipe's own source; missing
    public data are downloaded, and images given as values are kept with the run up to 2 GiB. callbacks: a
    `keras.callbacks.Callback` or a list of them. runs, name: the run directory is `<runs>/<name>-<number>`; the
    default name is that of recipe and data set. csv: also write the predictions as CSV. h5: also write the model as
    `model.h5`. resume: if there is a run with that name and recipe, resume the newest one that was stopped, died or
    failed, or return it if it is finished. learning_curve: also measure what more training images would bring (only for
    a logistic regression). teacher: a finished run, or its path, whose probabilities are learnt beside the labels, as
    `train.distillation` of the recipe says. ranks: the number of processes that train together, each on a share of
    every batch; on: `ray` or the address of a Ray cluster where they do so, by default this machine. If one dies, the
    training goes on from its last checkpoint, on a cluster in as many processes as there are cores for, but at least
    `min_ranks`.

    Raises a TenfoldError before anything is written if the input is invalid or the disk space is too small;
    DivergedError if the loss became NaN or infinite (the run then has the status "diverged" and its last finite
    weights); StorageError if the disk fails during training (the last checkpoint is kept).
    """
    watcher = chosen_watcher(watcher)
    machine.check(watcher.notice)
    callbacks = listed(callbacks)
    if teacher is not None:
        overrides = {**(overrides or {}), "train.distillation.teacher": str(Run.open(teacher).path.absolute())}
    check_root(path("runs", runs))
    recipe, data = recipe_of(recipe, overrides, data, watcher)
    check_name(name or recipe.name)
    if learning_curve:
        check(recipe)
    check_ranks(recipe, ranks, callbacks, on, min_ranks)
    with Interrupt() as interrupt, second_process() as apart:
        watcher = Interruptible(watcher, interrupt)
        chosen = choose(recipe, data, watcher)
        job = Job(chosen.recipe, chosen.dataset, callbacks, watcher, interrupt, csv, h5, learning_curve,
                  keep=chosen.keep, ranks=ranks, min_ranks=min_ranks, on=on, apart=apart)
        name = name or f"{recipe.name}-{job.dataset.name}"
        found = _newest_run(runs, name, job.recipe) if resume else None
        if found is None:
            return _start(job, Path(runs), name, partial(before_training, chosen, watcher))
        if found.status().state is State.FINISHED:
            check_data(found, job.dataset)
            watcher.notice(f"{found.path} is already finished")
            return found
        with found.writing():
            return continue_run(job, found)


def fit_only(recipe: Any, data: Data, callbacks: Any = (), *, overrides: Mapping[str, Any] | None = None,
             runs: str | Path) -> Run:
    """Train a recipe, as `train` does, but only up to its validation: without a test score and a report."""
    machine.check()
    callbacks = listed(callbacks)
    recipe, given = recipe_of(recipe, overrides, data)
    with Interrupt() as interrupt:
        watcher = Interruptible(SILENT, interrupt)
        chosen = choose(recipe, given, watcher)
        job = Job(chosen.recipe, chosen.dataset, callbacks, watcher, interrupt, tested=False)
        return _start(job, Path(runs), recipe.name, lambda: None)


def probe(backbone: str, data: Data | None = None, overrides: Mapping[str, Any] | None = None, *,
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


def seeds(recipe: Any, count: int, overrides: Mapping[str, Any] | None = None,
          data: Data | None = None) -> list[Recipe]:
    """The recipe (as for `train`) with `count` consecutive seeds, starting with its own.

    data: the images for which a Keras model is built that has no weights yet. Raises UsageError if it needs them, and
    the errors of `train` for an unsuitable recipe or model.
    """
    recipe, _ = recipe_of(recipe, overrides, data)
    return [recipe.replace({"train.seed": recipe.train.seed + i}) for i in range(whole("count", count, 1))]


def in_folds(recipe: Recipe, count: int) -> list[Recipe]:
    """The recipe with each of `count` folds left out in turn. Raises RecipeError for fewer than three folds."""
    return [recipe.replace({"data.folds": count, "data.fold": number}) for number in range(1, max(count, 1) + 1)]


def _newest_run(runs: str | Path, name: str, recipe: Recipe) -> Run | None:
    """The newest run with that name and recipe that is finished or can be resumed; unreadable runs are skipped."""
    for run in reversed(Run.list(runs)):
        with contextlib.suppress(RunError):
            state = run.status().state
            fits = state.can_resume or state is State.FINISHED
            if fits and run.name.rpartition("-")[0] == name and run.recipe() == recipe:
                return run
    return None


def _start(job: Job, runs: Path, name: str, inspect: Callable[[], dict[str, Any] | None]) -> Run:
    """Create a run directory, with what `inspect` finds in the images, and do the job in it."""
    plan = Plan.of(job, runs)
    keep, inspection = job.keep, inspect()
    with Run.begin(runs, name, job.recipe) as run:
        if keep is not None:
            own_data.keep(keep, run)
        keep_model(run, job.recipe)
        if inspection is not None:
            run.write_json(INSPECTION, inspection)
        steps.do(job, run, plan)
    return run
