"""Executors: the same results here and in processes; errors are values; an interrupt stops all, and each saves."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from watchers import Listen

from tenfold import machine
from tenfold.errors import DivergedError, EngineError, RecipeError, UsageError, WorkerError
from tenfold.interrupt import Interrupt
from tenfold.jobs import executors
from tenfold.jobs.executors import result, run_all, run_together
from tenfold.progress import SILENT, Watcher


def square(number: int, watcher: Watcher) -> tuple[int, str | None]:
    watcher.notice(f"squaring {number}")
    return number**2, os.environ.get("TENFOLD_THREADS")


def diverge(watcher: Watcher) -> None:
    raise DivergedError("the loss became nan", 3, 7)


def refuse(watcher: Watcher) -> None:
    raise RecipeError("recipe x", ["a: wrong", "b: wrong"])


def die(watcher: Watcher) -> None:
    os._exit(9)


def break_(watcher: Watcher) -> None:
    raise ZeroDivisionError("division by zero")


def save_when_stopped(folder: Path, number: int, watcher: Watcher) -> None:
    with Interrupt() as interrupt, interrupt.deferred():
        watcher.notice(f"{number} works")
        while not interrupt.requested:
            time.sleep(0.01)
        (folder / f"{number}-saved").touch()


def test_results_are_the_same_here_and_in_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENFOLD_THREADS", "4")
    calls = [partial(square, number) for number in range(3)]
    here, there = Listen(), Listen()
    assert dict(run_all(calls, 1, here)) == {i: (i**2, "4") for i in range(3)}
    assert dict(run_all(calls, 2, there)) == {i: (i**2, "2") for i in range(3)}
    assert sorted(there.said) == here.said == ["squaring 0", "squaring 1", "squaring 2"]


def test_errors_are_results_with_all_their_facts() -> None:
    outcomes = dict(run_all([diverge, refuse, die, break_], 4, SILENT))
    assert isinstance(outcomes[0], DivergedError)
    assert (str(outcomes[0]), outcomes[0].epoch, outcomes[0].step) == ("the loss became nan", 3, 7)
    assert isinstance(outcomes[1], RecipeError)
    assert outcomes[1].problems == ("a: wrong", "b: wrong")
    assert isinstance(outcomes[2], EngineError)
    assert "a worker process died (exit code 9)" in str(outcomes[2])
    assert "ZeroDivisionError: division by zero" in str(outcomes[3])
    with pytest.raises(DivergedError):
        result(outcomes[0])


def test_an_interrupt_stops_all_and_each_saves(tmp_path: Path) -> None:
    watcher = Listen(stop_if=lambda said: len(said) == 2)
    with pytest.raises(KeyboardInterrupt):
        list(run_all([partial(save_when_stopped, tmp_path, number) for number in range(3)], 2, watcher))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0-saved", "1-saved"]


def wait(folder: Path, watcher: Watcher) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as while a process waits for others in compiled code
    watcher.notice("waits")
    time.sleep(30)
    (folder / "waited").touch()


def test_a_call_that_waits_for_one_that_died_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "LAST", 0.1)
    outcomes = dict(run_together(2, lambda count: [die, partial(wait, tmp_path)], SILENT))
    assert list(outcomes) == [0]
    assert isinstance(outcomes[0], WorkerError)
    assert not (tmp_path / "waited").exists()


def test_an_interrupt_ends_a_call_that_waits_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "SAVING", 0.1)
    with pytest.raises(KeyboardInterrupt):
        list(run_together(1, lambda count: [partial(wait, tmp_path)], Listen(stop_if=lambda said: bool(said))))
    assert not (tmp_path / "waited").exists()


def test_no_workers_are_refused() -> None:
    with pytest.raises(UsageError, match="workers: received 0"):
        list(run_all([diverge], 0, SILENT))


def test_each_thread_has_a_worker_as_far_as_memory_suffices(monkeypatch: pytest.MonkeyPatch) -> None:
    from tenfold.jobs.executors import all_workers

    monkeypatch.setenv("TENFOLD_THREADS", "8")
    monkeypatch.setattr(machine, "memory_gib", lambda: 7.8)
    assert all_workers() == 3
    monkeypatch.setattr(machine, "memory_gib", lambda: 64.0)
    assert all_workers() == 8
