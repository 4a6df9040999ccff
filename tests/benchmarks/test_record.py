"""What a result says about where it comes from."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import recipes, record, time_to_accuracy


def test_the_recorded_command_has_no_path_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inside = str(tmp_path / "results" / "a.json")
    monkeypatch.setattr(sys, "argv", ["x", "--json", inside, "--envs", "/somewhere/else", "--seeds", "3"])
    assert record.origin()["command"].endswith(" --json results/a.json --envs else --seeds 3")


@pytest.mark.parametrize("word", ["0", "-1", "1.5", "many", ""])
def test_a_count_is_a_positive_integer(word: str) -> None:
    assert record.positive("12") == 12
    with pytest.raises(argparse.ArgumentTypeError, match=f"received {word}; expected"):
        record.positive(word)


@pytest.mark.parametrize("module", [recipes, time_to_accuracy])
def test_an_unknown_recipe_is_refused_before_anything_is_measured(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["x", *["recipes"] * (module is time_to_accuracy), "mlp", "nope"])
    with pytest.raises(SystemExit):
        module.main()
    assert "received nope; expected one of " in capsys.readouterr().err
