"""The commands that are timed are ones that work."""

from __future__ import annotations

from benchmarks.side_by_side import finish
from benchmarks.startup import COMMANDS, SHORT_RUNS, measure


def test_every_command_is_timed_once_a_round() -> None:
    seconds = measure(1)
    assert {name: len(of) for name, of in seconds.items()} == dict.fromkeys(COMMANDS, 1)
    assert seconds["python"][0] > 0


def test_a_short_run_is_timed_in_a_directory_of_its_own() -> None:
    name = "tenfold train mlp --data digits"
    assert measure(1, {name: SHORT_RUNS[name]})[name][0] > 0


def test_the_timed_help_command_runs_tenfold() -> None:
    assert "train" in finish(COMMANDS["tenfold --help"])[0]
