"""Resume a run that was stopped, died or failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold import machine
from tenfold.arguments import whole
from tenfold.data.given.values import Data
from tenfold.errors import UsageError
from tenfold.interrupt import Interrupt
from tenfold.jobs import ensembling, steps
from tenfold.jobs.job import Interruptible, Job, Plan, listed
from tenfold.jobs.own_data import KEPT, check_data, prepared, source_of
from tenfold.jobs.own_model import restore_model
from tenfold.progress import Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.recipe.sections import ENSEMBLE
from tenfold.run import Run, State


def resume(run: Run | str | Path, epochs: int | None = None, callbacks: Any = (), *, data: Data | None = None,
           csv: bool = False, h5: bool = False, watcher: Watcher | None = None) -> Run:
    """Resume a run that was stopped, died or failed. The weights are bit-identical to those of an uninterrupted run.

    run: a Run or its path. `epochs` raises the recipe's number of epochs; with it, a finished run is trained further.
    Without it, a finished run is returned as it is. callbacks: as for `train`. data: the run's images again, if the run
    does not keep them. Raises RunError if another process is writing the run, or if its data set has changed.
    """
    watcher, callbacks = chosen_watcher(watcher), listed(callbacks)
    run = Run.open(run)
    machine.check(watcher.notice)
    recipe, state = run.recipe(), run.status().state
    if recipe.model.name == ENSEMBLE and epochs is not None:
        raise UsageError(f"epochs: received {epochs} for the ensemble {run.path}, which is not trained; expected "
                         "none: train its members further, then make it again with `tenfold ensemble`")
    if recipe.train.fit == "logistic-regression" and epochs is not None:
        raise UsageError(f"epochs: received {epochs} for {run.path}, a logistic regression, which has no epochs; "
                         "expected none: fine-tune the network with `tenfold train photos` instead")
    if epochs is not None:
        whole("epochs", epochs, 1)
        least = recipe.train.epochs + (state is State.FINISHED)
        if epochs < least:
            raise UsageError(f"epochs: received {epochs}; expected {least} or more: the run's recipe has "
                             f"{recipe.train.epochs}, and its status is {state.value!r}")
        recipe = recipe.replace({"train.epochs": epochs})
    elif state is State.FINISHED:
        further = "" if recipe.train.fit == "logistic-regression" else \
            f"; to train it further, give --epochs with more than {recipe.train.epochs}"
        watcher.notice(f"{run.path} is already finished{further}")
        return run
    restore_model(run, recipe)
    with Interrupt() as interrupt, run.writing():
        watcher = Interruptible(watcher, interrupt)
        if recipe.model.name == ENSEMBLE:
            return ensembling.complete(run, data, csv, watcher, interrupt)
        dataset = prepared(recipe, source_of(run, recipe, watcher, data, fetch=True), watcher)
        curve = run.has("environment.json") and bool(run.environment().get("learning_curve"))
        return continue_run(Job(recipe, dataset, callbacks, watcher, interrupt, csv, h5, curve), run)


def continue_run(job: Job, run: Run) -> Run:
    """Run the remaining steps of a job in its run directory, whose lock the caller holds (`run.writing()`)."""
    from tenfold.training import checkpoint, space

    check_data(run, job.dataset)
    if run.read_json("status.json").get("status") == State.FINISHED.value and run.recipe() == job.recipe:
        job.watcher.notice(f"{run.path} was finished by another process")
        return run
    plan = Plan.of(job, run.path, already=space.used(run.path) - space.used(run.path / KEPT))
    snapshot = checkpoint.load(run, "last", job.watcher) if checkpoint.has(run, "last") else None
    if snapshot is not None or run.has("environment.json"):
        done = snapshot.position if snapshot else checkpoint.Position(0)
        checkpoint.discard_after(run, done)
        job.watcher.notice(f"resuming {run.path} after epoch {done.epoch}, step {done.step}")
    steps.do(job, run, plan, snapshot)
    return run
