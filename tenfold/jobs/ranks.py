"""Fit the model of a run in several processes: the first writes the run, the others only compute.

If a process or its node dies, all begin again from the last checkpoint, with as many processes as there is room for.
"""

from __future__ import annotations

import contextlib
import uuid
from functools import partial
from pathlib import Path

from tenfold.counted import counted
from tenfold.errors import EngineError, UsageError, WorkerError
from tenfold.interrupt import Interrupt
from tenfold.jobs import executors
from tenfold.jobs.job import Interruptible, Job
from tenfold.jobs.own_data import check_data, prepared, source_of
from tenfold.progress import SILENT, Epoch, Together, Watcher
from tenfold.progress.journal import NAME, Journal
from tenfold.progress.lines import LineWatcher
from tenfold.recipe import Recipe
from tenfold.run import Run

AGAIN = 3  # times that the training goes on after a process died before an epoch ended
MEETING = ".meeting-"  # begins the name of the file where the processes meet; without it, they write no more


def check(recipe: Recipe, ranks: int, callbacks: object, on: str | None, min_ranks: int = 1) -> None:
    """Raise UsageError for a training that several processes, or a cluster, can't do."""
    if ranks < 1:
        raise UsageError(f"ranks: received {ranks}; expected at least 1")
    if not 1 <= min_ranks <= ranks:
        raise UsageError(f"min_ranks: received {min_ranks}; expected 1 to {ranks}, the number of ranks")
    if ranks == 1 and on is None:
        return
    if recipe.train.fit != "gradient-descent" or recipe.model.name in ("pretrained", "keras"):
        raise UsageError(f"ranks: received the model {recipe.model.name} with train.fit={recipe.train.fit}; expected "
                         "a network of Tenfold that is trained from scratch: leave out --ranks")
    if callbacks:
        raise UsageError("callbacks: received some with ranks > 1; expected none, because they can't be sent to other "
                         "processes")
    if on is not None:
        executors.all_workers(on)  # refuses a cluster that can't be reached before anything is written


def fit(job: Job, run: Run) -> None:
    """Train from the last checkpoint, or from the start, and write history, checkpoints and `model.keras`.

    Raises KeyboardInterrupt once all have stopped and the first has saved; DivergedError; StorageError; EngineError if
    processes died again and again without finishing an epoch.
    """
    watcher, died, epochs = job.watcher, 0, 0
    while True:
        run.remove(f"{MEETING}*")  # of processes that were left behind by one that was killed
        meeting = run.path / f"{MEETING}{uuid.uuid4().hex[:12]}"
        try:
            ended = dict(executors.run_together(job.ranks, partial(_calls, job, run, meeting), watcher, job.on,
                                                 job.min_ranks))
        finally:
            run.remove(f"{MEETING}*")
        errors = [outcome for _, outcome in sorted(ended.items()) if isinstance(outcome, Exception)]
        fault = next((error for error in errors if not isinstance(error, EngineError)), None)
        if fault is not None:
            raise fault
        if not errors:
            return
        epochs, before = len(run.history()), epochs
        died = 1 if epochs > before else died + 1
        lost = (error for error in errors if isinstance(error, WorkerError))  # others only lost the connection
        first = next(lost, errors[0])
        if died > AGAIN:
            raise first
        watcher.notice(f"{first.args[0].partition(';')[0]}; the training goes on from its last checkpoint")


def _calls(job: Job, run: Run, meeting: Path, count: int) -> list[executors.Call]:
    job.watcher.notice(f"training in {counted(count, 'process')}")
    return [partial(fit_rank, rank, count, str(meeting), run.path.absolute(), job.recipe) for rank in range(count)]


def fit_rank(rank: int, count: int, meeting: str, path: Path, recipe: Recipe, *, watcher: Watcher) -> None:
    """The part of one process, which sees the run under the same path as the others."""
    from tenfold.training import checkpoint, parallel
    from tenfold.training import fit as train

    run = Run.open(path)
    if isinstance(watcher, LineWatcher):
        watcher.epochs = recipe.train.all_epochs
    watcher = Together([Journal(run.path / NAME), watcher]) if rank == 0 else SILENT
    with Interrupt() as interrupt:
        dataset = prepared(recipe, source_of(run, recipe, SILENT, None), SILENT)
        check_data(run, dataset)
        with parallel.joined(Path(meeting), rank, count) as ranks:
            snapshot = checkpoint.load(run, "last", watcher) if checkpoint.has(run, "last") else None
            ranks.wait()  # until all have read it, because the first process will replace it
            written = parallel.Leader(path, Path(meeting)) if rank == 0 else parallel.Follower(path / f".rank-{rank}")
            training = train(recipe, dataset, written, (), Interruptible(watcher, interrupt), resume=snapshot,
                             ranks=ranks)
            with interrupt.deferred(), contextlib.closing(training) as records:
                for record in records:
                    watcher.on(Epoch(record))
