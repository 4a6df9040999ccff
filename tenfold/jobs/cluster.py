"""An executor on Ray: calls functions in the processes of a Ray cluster, on this machine or on others.

Ray only runs the calls. What they have to do and what they have done stands in run directories, which all nodes must
see under the same path. So a call whose process or node dies is simply made again, and continues its run.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from tenfold.errors import EngineError, UsageError, WorkerError, first_line
from tenfold.extras import needed_for
from tenfold.jobs.executors import Call, outcome
from tenfold.machine import threads
from tenfold.progress import Watcher, stop_if_asked
from tenfold.progress.lines import LineWatcher

LOCAL = "ray"
AGAIN = 3  # times that a call is made again after its process or node died
PAUSE = 0.5  # seconds between two questions whether to stop


def check(on: str | None) -> None:
    """Raise UsageError for anything but `ray` and the address of a Ray cluster."""
    if on is not None and on not in (LOCAL, "auto") and not on.startswith("ray://") and ":" not in on:
        raise UsageError(f"on: received {on!r}; expected ray (this machine), ray://HOST:PORT or HOST:PORT")


def connect(on: str) -> Any:
    """Ray, connected to the cluster at an address or, for `ray`, to a new one on this machine.

    An existing connection of this process is kept. Raises UsageError, MissingExtraError, EngineError.
    """
    check(on)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or Ray reports its use to its makers
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # of calls that were given up
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # or Ray writes of dead nodes to standard output
    with needed_for("--on ray", "scale"):
        import ray
    if not ray.is_initialized():
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        here = {"address": "local", "num_cpus": threads(), "include_dashboard": False}
        where = here if on == LOCAL else {"address": on}
        try:
            ray.init(**where, **quiet)
        except Exception as error:
            raise EngineError(f"on: received {on} ({first_line(error)}); expected a Ray cluster that can be reached, "
                              "with this version of Ray and of Python") from None
    return ray


def all_workers(on: str) -> int:
    """The number of calls that the cluster makes at a time: one on each processor core. Raises as `connect` does."""
    return max(1, int(connect(on).cluster_resources().get("CPU", 1)))


def run_on(on: str, calls: Sequence[Call], workers: int, watcher: Watcher) -> Iterator[tuple[int, Any]]:
    """Call each function on a cluster, `workers` at a time, each with one core; see `executors.run_all`.

    A call whose process or node dies is made again up to `AGAIN` times, with `resume=True` if it has that argument.
    """
    waiting = [_Attempt(index, call) for index, call in enumerate(calls)]
    working: dict[Any, _Attempt] = {}
    with Pool(connect(on)) as pool:
        try:
            while waiting or working:
                while waiting and len(working) < workers:
                    attempt = waiting.pop(0)
                    working[pool.start(attempt.call)] = attempt
                for each in pool.ended(list(working), watcher):
                    attempt = working.pop(each)
                    result = pool.result(each)
                    if not isinstance(result, Died):
                        yield attempt.index, result
                    elif attempt.number < AGAIN:
                        watcher.notice(f"{result.reason}; the work goes on elsewhere")
                        waiting.insert(0, attempt.again())
                    else:
                        yield attempt.index, WorkerError(f"{result.reason}; repeat the command to continue, with fewer "
                                                         "--workers if memory is short")
        finally:
            pool.stop(list(working))


@dataclass(frozen=True)
class _Attempt:
    index: int
    call: Call
    number: int = 0

    def again(self) -> _Attempt:
        call = self.call
        if isinstance(call, partial) and "resume" in call.keywords:
            call = partial(call.func, *call.args, **{**call.keywords, "resume": True})
        return _Attempt(self.index, call, self.number + 1)


@dataclass(frozen=True)
class Died:
    """How the process of a call died."""

    reason: str


class Pool:
    """Processes of a cluster that make calls, and their lines of progress; a context."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._work = ray.remote(_work)
        self._lines = _line_box(ray)
        self._taken: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._ray.kill(self._lines)

    def start(self, call: Call, **options: Any) -> Any:
        """Make a call in a process with one core, as soon as one is free; a reference to its result."""
        return self._work.options(num_cpus=1, max_retries=0, **options).remote(call, os.getcwd(), self._lines)

    def ended(self, working: list[Any], watcher: Watcher) -> list[Any]:
        """Wait a moment for a result; pass on progress. Raises KeyboardInterrupt if the watcher asks to stop."""
        stop_if_asked(watcher)
        ended, _ = self._ray.wait(working, num_returns=1, timeout=PAUSE)
        self._taken = self._taken or self._lines.take.remote()
        if self._ray.wait([self._taken], timeout=PAUSE)[0]:
            taken, self._taken = self._taken, None
            with contextlib.suppress(self._ray.exceptions.RayError):  # lines of progress are not worth the work
                for line in self._ray.get(taken):
                    watcher.notice(line)
        return list(ended)

    def result(self, reference: Any) -> Any:
        """What an ended call returned, or how its process died. Raises KeyboardInterrupt if it was interrupted."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except (errors.TaskCancelledError, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        except errors.RayTaskError as error:
            return EngineError(f"a worker process failed: {first_line(error.cause)}")
        except errors.RayError as error:
            return Died(f"a worker process or its node died ({type(error).__name__})")

    def stop(self, working: list[Any]) -> None:
        """Ask calls to save and stop, and wait for them; a further interrupt ends them immediately."""
        try:
            for each in working:
                self._ray.cancel(each)
            while working:
                _, working = self._ray.wait(working, num_returns=len(working), timeout=PAUSE)
        except KeyboardInterrupt:
            self.kill(working)
            raise

    def kill(self, working: list[Any]) -> None:
        """End the processes of calls immediately."""
        for each in working:
            self._ray.cancel(each, force=True)


class _Lines:
    """An actor that holds lines until the driver takes them."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        self._lines.append(line)

    def take(self) -> list[str]:
        taken, self._lines = self._lines, []
        return taken


def _line_box(ray: Any) -> Any:
    """An actor for lines of progress, on the driver's node, which the work can't outlive."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    return ray.remote(_Lines).options(num_cpus=0, scheduling_strategy=here).remote()


class _Sender(LineWatcher):
    """Sends progress as lines to the driver, after the name of the run."""

    def __init__(self, lines: Any) -> None:
        super().__init__(self._send)
        self._lines = lines

    def _send(self, text: str) -> None:
        self._lines.add.remote(f"{Path(self.run).name}: {text}" if self.run else text)


def _work(call: Call, folder: str, lines: Any) -> Any:
    """A call in a worker process, with one thread, in the driver's working directory if this node has it."""
    with contextlib.suppress(OSError):
        os.chdir(folder)
    for variable in ("TENFOLD_THREADS", "OMP_NUM_THREADS"):
        os.environ[variable] = "1"
    return outcome(call, _Sender(lines))
