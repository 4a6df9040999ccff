"""Executors: call functions one after the other here, several at a time in processes of their own, or on Ray.

They serve the seeds of a recipe, studies and searches. Small networks train faster side by side with one thread each
than one after the other with all threads, because threads wait for each other many times in each step.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from tenfold import machine
from tenfold.errors import EngineError, TenfoldError, UsageError, WorkerError
from tenfold.jobs import spawn
from tenfold.progress import Watcher, stop_if_asked
from tenfold.progress.lines import LineWatcher

GIB_FOR_EACH = 2.0  # of memory, for each of the processes that are started by default
PAUSE = 0.5  # seconds between two questions whether to stop
LAST = 10.0  # seconds, after one failed, for the calls that need it to end by themselves
SAVING = 120.0  # seconds, after an interrupt, for calls that need each other to save
Call = Callable[..., Any]


def all_workers(on: str | None = None) -> int:
    """The number of processes with one thread each that this machine, or the cluster `on`, has cores and memory for."""
    if on is not None:
        from tenfold.jobs import cluster

        return cluster.all_workers(on)
    return max(1, min(machine.threads(), int((machine.memory_gib() or GIB_FOR_EACH) / GIB_FOR_EACH)))


def chosen_workers(workers: int | None, on: str | None) -> int:
    """The number that was asked for; by default one here, or one for each core of the cluster `on`.

    Raises UsageError for a cluster that can't be reached: call it before anything is written.
    """
    available = 1 if on is None else all_workers(on)
    return available if workers is None else workers


def run_all(calls: Sequence[Call], workers: int, watcher: Watcher,
            on: str | None = None) -> Iterator[tuple[int, Any]]:
    """Call each function with `watcher=`; yield (its index, its result or the TenfoldError it raised) as each ends.

    With one worker, the calls are made here, in order. With several, that many processes work at a time and share the
    threads of this one; each call must then be picklable, as a `functools.partial` of a module's function is. Their
    progress arrives as lines. An interrupt, also by the watcher, stops all of them; each saves what it does at the
    first signal. on: `ray` or the address of a Ray cluster, which makes the calls instead (see `cluster`).
    """
    if workers < 1:
        raise UsageError(f"workers: received {workers}; expected at least 1")
    if on is not None:
        from tenfold.jobs import cluster

        yield from cluster.run_on(on, calls, workers, watcher)
        return
    if workers == 1 or len(calls) < 2:
        for index, call in enumerate(calls):
            yield index, outcome(call, watcher)
        return
    yield from _in_processes(calls, workers, watcher)


def run_together(most: int, make: Callable[[int], Sequence[Call]], watcher: Watcher,
                 on: str | None = None, least: int = 1) -> Iterator[tuple[int, Any]]:
    """Make the calls `make(count)`, which need each other, all at a time, each in a process of its own; see `run_all`.

    The count is `most`; on a cluster, fewer but at least `least` if it has no room for them. None is made again if its
    process dies. The others would wait for one that did not finish: those that do not end soon are ended, and yield
    nothing.
    """
    if on is None:
        yield from _in_processes(make(most), most, watcher, together=True)
        return
    from tenfold.jobs import gang

    yield from gang.run_gang(on, most, make, watcher, least)


def result(outcome: Any) -> Any:
    """A result of `run_all`. Raises it if it is an error."""
    if isinstance(outcome, TenfoldError):
        raise outcome
    return outcome


def outcome(call: Call, watcher: Watcher) -> Any:
    """What a call returns, or the TenfoldError that it raises."""
    try:
        return call(watcher=watcher)
    except TenfoldError as error:
        return error


@dataclass(frozen=True)
class _Worker:
    index: int
    process: SpawnProcess


def _in_processes(calls: Sequence[Call], workers: int, watcher: Watcher,
                  together: bool = False) -> Iterator[tuple[int, Any]]:
    """together: the calls need each other, so if one ends early, others that wait for it are killed."""
    waiting = list(enumerate(calls))
    working: dict[Connection, _Worker] = {}
    end = math.inf
    threads = max(1, machine.threads() // min(workers, len(calls)))
    try:
        while (waiting or working) and time.monotonic() < end:
            while waiting and len(working) < workers:
                _start(*waiting.pop(0), threads, working)
            stop_if_asked(watcher)
            for ready in wait(list(working), PAUSE):
                assert isinstance(ready, Connection)
                kind, content = _received(ready, working[ready])
                if kind == "line":
                    watcher.notice(content)
                    continue
                ended = working.pop(ready)
                ended.process.join()
                if kind == "interrupted":
                    raise KeyboardInterrupt
                if together and isinstance(content, TenfoldError):
                    end = min(end, time.monotonic() + LAST)
                yield ended.index, content
    finally:
        _stop([worker.process for worker in working.values()],
              None if not together else SAVING if end == math.inf else 0.0)


def _start(index: int, call: Call, threads: int, working: dict[Connection, _Worker]) -> None:
    inbox, outbox = multiprocessing.Pipe(duplex=False)
    process = spawn.start(_work, call, threads, outbox)
    outbox.close()
    working[inbox] = _Worker(index, process)


def _received(inbox: Connection, worker: _Worker) -> tuple[str, Any]:
    try:
        kind, content = inbox.recv()
        return kind, content
    except EOFError:
        worker.process.join()
        code = worker.process.exitcode
        if code == 1 and spawn.runs_script():
            return "ended", EngineError("a worker process could not begin: it ran your script again, because that "
                                        "registers something, a model say; expected everything else in the script "
                                        "under `if __name__ == \"__main__\":`")
        return "ended", WorkerError(f"a worker process died (exit code {code}); repeat the command to continue, with "
                                    "fewer --workers if memory is short")


def _stop(processes: Sequence[SpawnProcess], patience: float | None) -> None:
    """Ask processes to save and stop, and wait for them; after `patience` seconds, or an interrupt, they are killed."""
    end = None if patience is None else time.monotonic() + patience
    try:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(None if end is None else max(0.0, end - time.monotonic()))
    finally:
        for process in processes:
            process.kill()
            process.join()


def _work(call: Call, threads: int, outbox: Connection) -> None:
    """The life of a worker process."""
    if hasattr(os, "setsid"):
        os.setsid()  # so that Ctrl-C reaches only the parent, which sends SIGTERM: two signals would not save
    for variable in ("TENFOLD_THREADS", "OMP_NUM_THREADS"):
        os.environ[variable] = str(threads)
    told: tuple[str, Any]
    try:
        told = "ended", outcome(call, Sender(outbox))
    except KeyboardInterrupt:
        told = "interrupted", None
    except Exception as error:
        told = "ended", EngineError(f"a worker process failed: {type(error).__name__}: {error}")
    with contextlib.suppress(OSError):
        outbox.send(told)


class Sender(LineWatcher):
    """Sends progress as lines to the parent process, after the name of the run, and stops when the parent has died."""

    def __init__(self, outbox: Connection) -> None:
        super().__init__(self._send)
        self._outbox = outbox

    def stop(self) -> bool:
        parent = multiprocessing.parent_process()
        return parent is not None and not parent.is_alive()

    def _send(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the parent has died
            self._outbox.send(("line", f"{Path(self.run).name}: {text}" if self.run else text))
