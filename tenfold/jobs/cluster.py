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
from typing import Any

from tenfold.errors import EngineError, UsageError, first_line
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
        raise UsageError(f"--on: received {on!r}; expected ray (this machine), ray://HOST:PORT or HOST:PORT")


def connect(on: str) -> Any:
    """Ray, connected to the cluster at an address or, for `ray`, to a new one on this machine.

    An existing connection of this process is kept. Raises UsageError, MissingExtraError, EngineError.
    """
    check(on)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or Ray reports its use to its makers
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with needed_for("--on ray", "scale"):
        import ray
    if not ray.is_initialized():
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        here = {"address": "local", "num_cpus": threads(), "include_dashboard": False}
        where = here if on == LOCAL else {"address": on}
        try:
            ray.init(**where, **quiet)
        except Exception as error:
            raise EngineError(f"--on {on}: {first_line(error)}; expected a Ray cluster that can be reached, with this "
                              "version of Ray and of Python") from None
    return ray


def all_workers(on: str) -> int:
    """The number of calls that the cluster makes at a time: one on each processor core. Raises as `connect` does."""
    return max(1, int(connect(on).cluster_resources().get("CPU", 1)))


def run_on(on: str, calls: Sequence[Call], workers: int, watcher: Watcher,
           again: int = AGAIN) -> Iterator[tuple[int, Any]]:
    """Call each function on a cluster, `workers` at a time, each with one core; see `executors.run_all`.

    A call whose process or node dies is made again up to `again` times, with `resume=True` if it has that argument.
    """
    ray = connect(on)
    lines = _line_box(ray)
    work = ray.remote(_work).options(num_cpus=1, max_retries=0)
    waiting = [_Attempt(index, call) for index, call in enumerate(calls)]
    working: dict[Any, _Attempt] = {}
    try:
        while waiting or working:
            while waiting and len(working) < workers:
                attempt = waiting.pop(0)
                working[work.remote(attempt.call, os.getcwd(), lines)] = attempt
            stop_if_asked(watcher)
            ended, _ = ray.wait(list(working), num_returns=1, timeout=PAUSE)
            with contextlib.suppress(ray.exceptions.RayError):  # lines of progress are not worth the work
                for line in ray.get(lines.take.remote()):
                    watcher.notice(line)
            for each in ended:
                attempt = working.pop(each)
                result = _received(ray, each)
                if not isinstance(result, _Died):
                    yield attempt.index, result
                elif attempt.number < again:
                    watcher.notice(f"{result.reason}; the work goes on elsewhere")
                    waiting.insert(0, attempt.again())
                else:
                    yield attempt.index, EngineError(f"{result.reason}; repeat the command to continue, with fewer "
                                                     "--workers if memory is short")
    finally:
        _stop(ray, list(working))
        ray.kill(lines)


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
class _Died:
    reason: str


def _received(ray: Any, reference: Any) -> Any:
    """The result of a call, or how its process died. Raises KeyboardInterrupt if it was interrupted."""
    try:
        return ray.get(reference)
    except (ray.exceptions.TaskCancelledError, KeyboardInterrupt):
        raise KeyboardInterrupt from None
    except ray.exceptions.RayTaskError as error:
        return EngineError(f"a worker process failed: {first_line(error.cause)}")
    except ray.exceptions.RayError as error:
        return _Died(f"a worker process or its node died ({type(error).__name__})")


def _stop(ray: Any, working: list[Any]) -> None:
    """Ask calls to save and stop, and wait for them; a further interrupt ends them immediately."""
    try:
        for each in working:
            ray.cancel(each)
        while working:
            _, working = ray.wait(working, num_returns=len(working), timeout=PAUSE)
    except KeyboardInterrupt:
        for each in working:
            ray.cancel(each, force=True)
        raise


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
