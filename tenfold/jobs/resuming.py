"""Resume a run that was stopped, died or failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold import machine
from tenfold.data.given import Data
from tenfold.errors import RunError, UsageError
from tenfold.interrupt import Interrupt
from tenfold.jobs import steps
from tenfold.jobs.job import Interruptible, Job, Plan, listed
from tenfold.jobs.own_data import KEPT, check_data, prepared, source_of
from tenfold.progress import Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.run import Run, State


def resume(run: Run | str | Path, epochs: int | None = None, callbacks: Any = (), *, data: Data | None = None,
           csv: bool = False, h5: bool = False, watcher: Watcher | None = None) -> Run:
    """Resume a run that was stopped, died or failed. The weights are bit-identical to those of an uninterrupted run.

    run: a Run or its path. `epochs` raises the recipe's number of epochs; with it, a finished run can be resumed too.
    callbacks: as for `train`. data: the run's images again, if the run does not keep them. Raises RunError if the
    run is finished, if another process is writing it, or if its data set has changed.
    """
    watcher, callbacks = chosen_watcher(watcher), listed(callbacks)
    run = Run.open(run)
    machine.check(watcher.notice)
    recipe, state = run.recipe(), run.status().state
    if epochs is not None:
        least = recipe.train.epochs + (state is State.FINISHED)
        if epochs < least:
            raise UsageError(f"--epochs: received {epochs}; expected {least} or more: the run's recipe has "
                             f"{recipe.train.epochs}, and its status is {state.value!r}")
        recipe = recipe.replace({"train.epochs": epochs})
    elif state is State.FINISHED:
        raise RunError(f"{run.path}: the run is finished; give --epochs (more than {recipe.train.epochs}) to train it "
                       "further")
    with Interrupt() as interrupt:
        watcher = Interruptible(watcher, interrupt)
        dataset = prepared(recipe, source_of(run, recipe, watcher, data, fetch=True), watcher)
        return continue_run(Job(recipe, dataset, callbacks, watcher, interrupt, csv, h5), run)


def continue_run(job: Job, run: Run) -> Run:
    """Run the remaining steps of a job in its run directory."""
    plan = _plan(job, run)
    with run.writing():
        if run.read_json("status.json").get("status") == State.FINISHED.value and run.recipe() == job.recipe:
            job.watcher.notice(f"{run.path} was finished by another process")
            return run
        _continue(job, run, plan)
    return run


def continue_locked(job: Job, run: Run) -> None:
    """Run the remaining steps of a job in its run directory, whose lock the caller holds (`run.writing()`)."""
    _continue(job, run, _plan(job, run))


def _plan(job: Job, run: Run) -> Plan:
    from tenfold.training import space

    check_data(run, job.dataset)
    return Plan.of(job, run.path, already=space.used(run.path) - space.used(run.path / KEPT))


def _continue(job: Job, run: Run, plan: Plan) -> None:
    from tenfold.training import checkpoint

    snapshot = checkpoint.load(run, "last", job.watcher) if checkpoint.has(run, "last") else None
    if snapshot is not None or run.has("environment.json"):
        done = snapshot.position if snapshot else checkpoint.Position(0)
        checkpoint.discard_after(run, done)
        job.watcher.notice(f"resuming {run.path} after epoch {done.epoch}, step {done.step}")
    steps.do(job, run, plan, snapshot)
