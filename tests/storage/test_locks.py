"""Locks: one holder, who is noticed when it dies, on disks with and without locks."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.errors import RunError, StorageError
from tenfold.storage import locks
from tenfold.storage.locks import is_held, lock_path, locked

DISKS = [None, errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP]


@pytest.fixture(params=DISKS, ids=lambda number: errno.errorcode.get(number, "locks"))
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """The error with which the disk answers a lock; None on one with locks."""
    if request.param is not None:
        def flock(*_: object) -> None:
            raise OSError(request.param, os.strerror(request.param))

        monkeypatch.setattr(fcntl, "flock", flock)
    return request.param


@contextlib.contextmanager
def holder(file: Path, disk: int | None) -> Iterator[subprocess.Popen[str]]:
    """Another process on the same disk that holds the lock."""
    code = textwrap.dedent(f"""
        import fcntl, os, time
        from pathlib import Path
        from tenfold.storage.locks import locked

        def flock(*_):
            raise OSError({disk}, os.strerror({disk}))

        if {disk} is not None:
            fcntl.flock = flock
        with locked(Path({str(file)!r})):
            print("held", flush=True)
            input()
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_process_waits_and_is_notified(tmp_path: Path, disk: int | None) -> None:
    file = lock_path(tmp_path / "thing")
    told, order = threading.Event(), []

    def second() -> None:
        with locked(file, waiting=told.set):
            order.append("second")

    with locked(file):
        assert file.name == "thing.lock"
        thread = threading.Thread(target=second)
        thread.start()
        assert told.wait(10)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert not list(tmp_path.iterdir())


def test_waiting_for_a_lock_can_be_stopped(tmp_path: Path, disk: int | None) -> None:
    asked = []
    with locked(tmp_path / "lock"), pytest.raises(KeyboardInterrupt), locked(
            tmp_path / "lock", stop=lambda: asked.append(1) or len(asked) > 2):
        pass
    assert len(asked) == 3
    assert not list(tmp_path.iterdir())


def test_another_process_is_refused_until_the_holder_is_killed(tmp_path: Path, disk: int | None) -> None:
    file, busy = tmp_path / ".lock", RunError("busy")
    with holder(file, disk) as process:
        assert is_held(file)
        with pytest.raises(RunError, match="busy"), locked(file, refusal=busy):
            pass
        assert is_held(file)
        process.kill()
        process.wait()
        assert not is_held(file)
        assert not is_held(file)
        with locked(file, refusal=busy):
            assert is_held(file)
    assert not list(tmp_path.iterdir())


def test_a_free_lock_is_reported_free(tmp_path: Path, disk: int | None) -> None:
    assert not is_held(tmp_path / ".lock")
    (tmp_path / ".lock").touch()
    assert not is_held(tmp_path / ".lock")
    with locked(tmp_path / ".lock", refusal=RunError("busy")):
        pass
    assert not list(tmp_path.iterdir())


def test_simultaneous_checks_do_not_report_each_other_as_holder(tmp_path: Path, disk: int | None) -> None:
    file = tmp_path / ".lock"
    with holder(file, disk) as process:
        process.kill()
        process.wait()
    said: list[bool] = []
    together = threading.Barrier(8)

    def look() -> None:
        together.wait()
        said.extend(is_held(file) for _ in range(20))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [False] * 160


def test_checking_a_lock_does_not_make_a_writer_fail(tmp_path: Path, disk: int | None) -> None:
    file, done = tmp_path / ".lock", threading.Event()

    def look() -> None:
        while not done.is_set():
            is_held(file)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(20):
            with locked(file, refusal=RunError("busy")):
                pass
    finally:
        done.set()
        thread.join()


def test_an_error_releases_the_lock(tmp_path: Path, disk: int | None) -> None:
    with pytest.raises(ValueError, match="within"), locked(tmp_path / "lock"):
        raise ValueError("within")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("refusal", [RunError("busy"), None], ids=["refusing", "waiting"])
def test_a_lock_of_another_computer_names_the_file_to_remove(
    refusal: RunError | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(locks, "PATIENCE_ELSEWHERE", 0.1)
    file, owner = tmp_path / ".lock", tmp_path / ".lock.owner"
    with locked(file):
        mine = owner.read_text()
    owner.write_text(mine.replace(f"\n{socket.gethostname()}\n", "\nfar-away\n"))
    kind = RunError if refusal else StorageError
    said = rf"^{tmp_path}: locked by process \d+ on the computer far-away[^\n]* remove {owner}$"
    with pytest.raises(kind, match=said), locked(file, refusal=refusal):
        pass
    owner.unlink()
    with locked(file, refusal=refusal):
        pass


def test_an_unwritable_location_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"^can't write [^\n]*Not a directory; set THIS$"), locked(
            tmp_path / "file" / "lock", advice="set THIS"):
        pass


def test_another_disk_error_is_reported_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StorageError, match=r"^can't write [^\n]*Input/output error[^\n]*$"), locked(tmp_path / "lock"):
        pass
    assert not is_held(tmp_path / "lock")
