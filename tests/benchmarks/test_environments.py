"""A peer's environment is made once; one that can't be made is absent, with the reason."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.environments import PRESENT, AbsentError, Environment

MISSING = Environment("missing", ("tenfold-peer-that-nobody-made==1.0",))


def test_without_requirements_the_current_interpreter_is_used(tmp_path: Path) -> None:
    assert PRESENT.python(tmp_path) == sys.executable


def test_an_environment_is_absent_if_creating_it_is_not_allowed(tmp_path: Path) -> None:
    with pytest.raises(AbsentError, match=r"==1\.0: not installed in .*missing"):
        MISSING.python(tmp_path, install=False)
    assert not list(tmp_path.iterdir())


def test_a_package_unknown_to_pip_is_absent_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(AbsentError, match="No matching distribution found for tenfold-peer-that-nobody-made"):
        MISSING.python(tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_environment_with_the_same_requirements_is_used_again(tmp_path: Path) -> None:
    home = tmp_path / "missing"
    home.mkdir()
    (home / "requirements.txt").write_text("tenfold-peer-that-nobody-made==1.0\n")
    assert MISSING.python(tmp_path, install=False) == str(home / "bin" / "python")
    (home / "requirements.txt").write_text("tenfold-peer-that-nobody-made==0.9\n")
    with pytest.raises(AbsentError):
        MISSING.python(tmp_path, install=False)
