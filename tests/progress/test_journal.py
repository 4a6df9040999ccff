"""The journal: another process can follow a training, and the file stays small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tenfold
from tenfold.progress import Advance, Ended, Epoch, Evaluating, Notice, Step, Training
from tenfold.progress import journal as module
from tenfold.progress.journal import Journal, read
from tenfold.recipe import Recipe

RECIPE = Recipe.from_dict({
    "data": {"source": "shapes:train=200,test=40,seed=4"}, "model": {"name": "cnn", "filters": [4], "dense": [8]},
    "train": {"epochs": 2, "batch_size": 30},
}, name="small")


def test_a_run_records_the_events_of_its_training(tmp_path: Path) -> None:
    run = tenfold.train(RECIPE, runs=tmp_path)
    events = [event for _, event in read(run.path / "events.jsonl")]
    kinds = [type(event) for event in events]
    assert kinds[0] is Training
    assert [event.record["epoch"] for event in events if isinstance(event, Epoch)] == [1, 2]
    assert [event.split for event in events if isinstance(event, Evaluating)] == ["validation", "test"]
    assert kinds[-1] is Ended
    assert any(isinstance(event, Step) for event in events)
    times = [time for time, _ in read(run.path / "events.jsonl")]
    assert times == sorted(times)


def test_frequent_steps_are_thinned_and_the_end_of_a_phase_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events.jsonl", 60)
    for step in range(1000):
        journal.on(Step(1, step + 1, 1000, 0.5))
        journal.on(Advance("score", step + 1, 1000, "images"))
    events = [event for _, event in read(journal.path)]
    assert events == [Step(1, 1, 1000, 0.5), *(Advance("score", done, 1000, "images") for done in (1, 1000))]


def test_the_file_is_bounded_and_keeps_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 10_000)
    journal = Journal(tmp_path / "events.jsonl")
    for number in range(1000):
        journal.on(Notice(f"line {number}"))
        assert journal.path.stat().st_size < 10_200
    texts = [event.text for _, event in read(journal.path) if isinstance(event, Notice)]
    assert texts[-1] == "line 999"
    assert texts == [f"line {number}" for number in range(1000 - len(texts), 1000)]
    assert [path.name for path in tmp_path.iterdir()] == ["events.jsonl"]


def test_incomplete_lines_and_unknown_events_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    Journal(path).on(Notice("whole"))
    path.write_text(path.read_text() + '{"time": 1, "event": "of a later version"}\n[]\n{"time": 2, "eve', "utf-8")
    assert [event for _, event in read(path)] == [Notice("whole")]
    assert list(read(tmp_path / "none")) == []


def test_a_journal_that_cannot_be_written_does_not_stop_the_run(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").mkdir()
    Journal(tmp_path / "events.jsonl").on(Notice("lost"))
    Journal(tmp_path / "gone" / "events.jsonl").on(Notice("lost"))
    assert not (tmp_path / "gone").exists()


def test_events_after_a_cut_off_line_and_with_odd_characters_are_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    Journal(path).on(Notice("first"))
    with path.open("a") as file:
        file.write('{"time": 1, "event": "not')  # as a killed process leaves it
    journal = Journal(path)
    journal.on(Notice("a line\u2028separator and \x85 more"))
    journal.on(Epoch({"epoch": 1, "loss": np.float32(0.5)}))
    events = [event for _, event in read(path)]
    assert events == [Notice("first"), Notice("a line\u2028separator and \x85 more"), Epoch({"epoch": 1, "loss": 0.5})]


def test_a_large_damaged_journal_is_started_again(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(bytes(2 << 20))
    Journal(path).on(Notice("after"))
    assert [event for _, event in read(path)] == [Notice("after")]
    assert path.stat().st_size < 1000
