"""A search in PostgreSQL: the same trials as in a journal; a server that stops loses nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made_searches import OPTIONS, START, told
from watchers import Listen

from tenfold.errors import StorageError
from tenfold.progress import Event, Step, Training, Watcher
from tenfold.search import storage, tune
from tenfold.search.tuning import Found

OWNER = "postgres"  # the user of Debian's package; the server refuses to run as root


class Server:
    """A PostgreSQL server on a free port of this machine, with its files in a temporary directory."""

    def __init__(self, programs: Path, root: Path) -> None:
        self.programs, self.data, self.log = programs, root / "data", root / "log"
        self.user = OWNER if os.geteuid() == 0 else None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if self.user:
            shutil.chown(root, self.user)
        self._run("initdb", "-D", self.data, "-U", "tenfold", "-A", "trust", "--no-sync", "-E", "UTF8")

    @property
    def url(self) -> str:
        return f"postgresql://tenfold@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self.data}"
        self._run("pg_ctl", "-D", self.data, "-w", "-l", self.log, "-o", options, "start")

    def stop(self) -> None:
        """Stop without notice, as in a crash: open connections break."""
        self._run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run([self.programs / program, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, user=self.user, cwd="/")


@pytest.fixture
def server() -> Iterator[Server]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed")
    root = Path(tempfile.mkdtemp(prefix="tenfold-postgresql-", dir="/tmp"))
    server = Server(found[-1].parent, root)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(root)


class At(Watcher):
    """Does something at the first step of the second epoch of the n-th training."""

    def __init__(self, training: int, act: Callable[[], object]) -> None:
        self.left, self.act = training, act

    def on(self, event: Event) -> None:
        self.left -= isinstance(event, Training)
        if isinstance(event, Step) and (self.left, event.epoch, event.step) == (0, 2, 1):
            self.act()


class Restart(At, Listen):
    """Stops the server in the n-th training, and starts it again a second later."""

    def __init__(self, training: int, server: Server) -> None:
        Listen.__init__(self)
        At.__init__(self, training, self._restart)
        self.server = server

    def on(self, event: Event) -> None:
        Listen.on(self, event)
        At.on(self, event)

    def _restart(self) -> None:
        self.server.stop()
        threading.Timer(1.0, self.server.start).start()


def test_a_server_that_stops_in_mid_search_loses_nothing(
    server: Server, found: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = OPTIONS | {"final_seeds": 1, "storage": server.url, "runs": tmp_path}
    monkeypatch.setattr(storage, "PATIENCE", 0.5)
    with pytest.raises(StorageError, match=r"^the database of the search does not answer \([^\n]*nothing is lost$"):
        tune(START, watcher=At(2, server.stop), **options)
    with pytest.raises(StorageError, match=r"^storage: received postgresql://tenfold@127[^\n]*expected a PostgreSQL "):
        tune(START, **options)
    server.start()
    monkeypatch.setattr(storage, "PATIENCE", 60.0)
    restart = Restart(3, server)
    again = tune(START, watcher=restart, **options)
    assert told(again) == told(found)
    assert "the database of the search does not answer; waiting for it" in restart.said
    assert not (again.path / "journal.log").exists()
    assert server.url in (again.path / "plan.json").read_text("utf-8")
