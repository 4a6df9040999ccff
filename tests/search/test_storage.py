"""The journal survives processes that die while they write it."""

from __future__ import annotations

import threading
from pathlib import Path

import optuna
import pytest

from tenfold import search
from tenfold.errors import MissingExtraError, UsageError
from tenfold.search.storage import JournalLock, check_url, open_storage, without_password


def study(journal: Path) -> optuna.Study:
    return optuna.create_study(study_name="small", storage=open_storage(journal, None), load_if_exists=True)


def test_an_unfinished_line_is_cut_off(tmp_path: Path) -> None:
    journal = tmp_path / "journal.log"
    first = study(journal)
    first.tell(first.ask(), 1.0)
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":4,"worker_id":"x')
    again = study(journal)
    again.tell(again.ask(), 2.0)
    assert [trial.value for trial in study(journal).trials] == [1.0, 2.0]
    assert journal.read_bytes().startswith(whole)


def test_threads_take_turns(tmp_path: Path) -> None:
    journal = tmp_path / "journal.log"
    study(journal)

    def work() -> None:
        own = study(journal)
        for _ in range(5):
            own.tell(own.ask(), 0.0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [trial.number for trial in study(journal).trials] == list(range(20))
    first, second = JournalLock(journal), JournalLock(journal)
    first.acquire()
    waiting = threading.Thread(target=second.acquire)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    first.release()
    waiting.join(10)
    assert not waiting.is_alive()
    second.release()


def test_without_optuna_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tenfold\[tune\]'"):
        search.tune  # noqa: B018


def test_a_password_is_never_shown() -> None:
    assert without_password("postgresql://me:secret@host:5432/db") == "postgresql://me@host:5432/db"
    assert without_password("postgresql://host/db") == "postgresql://host/db"
    assert without_password("postgresql://host/db?user=me&password=se@cret") == "postgresql://host/db?user=me"
    assert without_password("postgresql://me:se?cret@host/db?password=x&password=y") == "postgresql://me@host/db"
    assert without_password("postgresql:///db?host=/run/pg") == "postgresql:///db?host=/run/pg"
    with pytest.raises(UsageError, match=r"^storage: received 'sqlite:///x'; expected postgresql://"):
        check_url("sqlite:///x")
