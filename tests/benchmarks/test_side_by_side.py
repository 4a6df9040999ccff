"""Programs run in turn, in processes of their own, and are compared round by round."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.environments import AbsentError
from benchmarks.side_by_side import Contender, finish, ratio, rounds, spread


def test_a_ratio_is_computed_within_each_round() -> None:
    # The machine slows down by half in the third round: no effect on the ratio.
    assert ratio([200, 210, 100], [100, 100, 50]) == {"median": 2.0, "low": 2.0, "high": 2.1, "n": 3}


def test_a_ratio_needs_the_same_number_of_rounds_of_both() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratio([1.0, 2.0], [1.0])


def test_a_spread_has_median_and_extremes() -> None:
    assert spread([3.0, 1.0, 2.0, 10.0]) == {"median": 2.5, "low": 1.0, "high": 10.0, "n": 4}


def program(folder: Path, name: str, body: str) -> Contender:
    path = folder / name
    path.with_suffix(".py").write_text(body, encoding="utf-8")
    return Contender(name, str(path))


NOTE = """
import json, pathlib
log = pathlib.Path(__file__).with_name("log")
log.open("a").write("{name} ")
print("chatter")
print(json.dumps({{"images_per_second": len(log.read_text())}}))
"""

FAILING = """
import pathlib
if "b b" in pathlib.Path(__file__).with_name("log").read_text():
    raise OSError("no more")
print("{}")
"""


def test_contenders_take_turns(tmp_path: Path) -> None:
    contenders = [program(tmp_path, name, NOTE.format(name=name)) for name in "abc"]
    results, absent = rounds(contenders, 2, tmp_path)
    assert (tmp_path / "log").read_text() == "a b c a b c "
    assert [result["images_per_second"] for result in results["b"]] == [4, 10]
    assert all(1 < result["peak_memory_mib"] < 10_000 for of in results.values() for result in of)
    assert not absent


def test_a_contender_that_fails_once_is_absent_with_the_reason(tmp_path: Path) -> None:
    contenders = [program(tmp_path, "b", NOTE.format(name="b")), program(tmp_path, "c", FAILING)]
    results, absent = rounds(contenders, 3, tmp_path)
    assert len(results["b"]) == 3
    assert "c" not in results
    assert absent["c"].endswith("OSError: no more")


def test_peak_memory_is_measured_for_the_program_alone() -> None:
    peaks = """
import sys
from benchmarks.side_by_side import finish
for body in ("pass", "x = bytearray(300 * 2**20)"):
    print(finish([sys.executable, "-c", body])[1])
"""
    little, much = map(float, finish([sys.executable, "-c", peaks])[0].split())  # from a small process
    assert little < 100
    assert 300 < much < 400


def test_a_failing_command_reports_its_error() -> None:
    with pytest.raises(AbsentError, match="ZeroDivisionError: division by zero"):
        finish([sys.executable, "-c", "1 / 0"])
