"""Going on with a run that was stopped, died or failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tenfold import machine
from tenfold.errors import RunError, UsageError
from tenfold.interrupt import Interrupt
from tenfold.jobs import steps
from tenfold.jobs.job import Interruptible, Job, Plan
from tenfold.jobs.own_data import check_data, prepared
from tenfold.progress import Watcher
from tenfold.progress.notebook import default_watcher
from tenfold.run import Run, State


def resume(run: Run, epochs: int | None = None, callbacks: Sequence[Any] = (), *, csv: bool = False, h5: bool = False,
           watcher: Watcher | None = None) -> Run:
    """Go on with a run that was stopped, died or failed, to the same bits as if it had never been interrupted.

    `epochs` raises the recipe's number of epochs, for a finished run too. Raises RunError if the run is
    finished, is being written by another process, or if its data set has changed.
    """
    watcher = watcher or default_watcher()
    machine.check(watcher.notice)
    recipe, state = run.recipe(), run.status().state
    if epochs is not None:
        least = recipe.train.epochs + (state is State.FINISHED)
        if epochs < least:
            raise UsageError(f"--epochs: received {epochs}; expected {least} or more: the run's recipe has "
                             f"{recipe.train.epochs}, and its status is {state.value!r}")
        recipe = recipe.replace({"train.epochs": epochs})
    elif state is State.FINISHED:
        raise RunError(f"{run.path}: is finished; give --epochs (more than {recipe.train.epochs}) to train it further")
    with Interrupt() as interrupt:
        watcher = Interruptible(watcher, interrupt)
        dataset = prepared(recipe, None, watcher)
        return go_on(Job(recipe, dataset, callbacks, watcher, interrupt, csv, h5), run)


def go_on(job: Job, run: Run) -> Run:
    """Do the rest of a job in its run."""
    from tenfold.training import checkpoint, space

    check_data(run, job.dataset)
    plan = Plan.of(job, run.path, already=space.used(run.path))
    with run.writing():
        snapshot = checkpoint.load(run, "last", job.watcher) if checkpoint.has(run, "last") else None
        done = snapshot.position if snapshot else checkpoint.Position(0)
        job.watcher.notice(f"resuming {run.path} after epoch {done.epoch}, step {done.step}")
        steps.do(job, run, plan, snapshot)
    return run
