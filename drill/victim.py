"""Processes that run `tenfold …`, to be killed, stopped or deprived of disk space at a chosen moment.

They are forked from a server that has imported everything, so starting one needs no imports. Each is a
separate process that runs the command line and ends with its exit code.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
PRELOAD = ["drill.victim", "tenfold.cli", "tenfold.jobs", "tenfold.report.plots", "tenfold.training.loop",
           "tenfold.models.summary", "tenfold.prediction", "tenfold.evaluation", "pyarrow.parquet", "sklearn.metrics",
           "tenfold.search.tuning"]
EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}
WRITING = os.O_WRONLY | os.O_RDWR


@dataclass(frozen=True)
class Fault:
    """Do something at the `at`-th file operation (from 1) on a path that holds `within`.

    With `writes`, only the opening of files for writing counts. `act` is called in the victim; at 0 stands
    for every operation.
    """

    within: str
    at: int
    act: Callable[[], None] = lambda: None
    writes: bool = False


@dataclass(frozen=True)
class Kill:
    """SIGKILL to oneself."""

    def __call__(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Fill:
    """Fill the file system of `ballast` with that file, but for `leave` bytes."""

    ballast: Path
    leave: int

    def __call__(self) -> None:
        room = os.statvfs(self.ballast.parent)
        with self.ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(room.f_bavail * room.f_frsize - self.leave, 1))


@dataclass(frozen=True)
class Note:
    """Add a byte to a file."""

    file: Path

    def __call__(self) -> None:
        with self.file.open("ab") as file:
            file.write(b".")


def start(words: Sequence[object], log: Path, fault: Fault | None = None) -> ForkServerProcess:
    """Start `tenfold WORDS`, whose output goes to the file `log`."""
    return launch(_run, [str(word) for word in words], log, fault)


def launch(function: Callable[..., object], *arguments: Any) -> ForkServerProcess:
    """Call a module's function in a process of its own."""
    CONTEXT.set_forkserver_preload(PRELOAD)
    process = CONTEXT.Process(target=function, args=arguments)
    process.start()
    return process


def ended(process: ForkServerProcess, timeout: float = 300) -> int:
    """The exit code of a process, minus the signal's number if that ended it. Raises TimeoutError."""
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"a process did not end within {timeout:g} s")
    return process.exitcode


def complaint(log: Path) -> list[str]:
    """The lines in which the command says what went wrong."""
    return [line for line in log.read_text(encoding="utf-8").splitlines()
            if line.startswith(("tenfold: ", "Traceback")) or "Error" in line]


def _run(words: list[str], log: Path, fault: Fault | None) -> None:
    os.environ["TENFOLD_THREADS"] = "1"
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from tenfold.cli import app

    if fault is not None:
        _arm(fault)
    app(words, prog_name="tenfold")


def _arm(fault: Fault) -> None:
    """Watch the file operations of this process by Python's audit events."""
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event not in EVENTS or not isinstance(arguments[0], (str, bytes, os.PathLike)):
            return
        if fault.within not in os.fsdecode(arguments[0]):
            return
        if fault.writes and not (event == "open" and arguments[2] & WRITING):
            return
        seen += 1
        if fault.at in (0, seen):
            fault.act()

    sys.addaudithook(hook)
