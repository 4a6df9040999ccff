"""What a result says about where it comes from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import record


def test_the_command_names_no_folder_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inside = str(tmp_path / "results" / "a.json")
    monkeypatch.setattr(sys, "argv", ["x", "--json", inside, "--envs", "/somewhere/else", "--seeds", "3"])
    assert record.origin()["command"].endswith(" --json results/a.json --envs else --seeds 3")
