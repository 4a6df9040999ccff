"""Events as lines, and as a live bar on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tenfold.progress import Advance, Epoch, Evaluating, Notice, Step, Training
from tenfold.progress import bars as bars_module
from tenfold.progress.bars import BarWatcher
from tenfold.progress.lines import LineWatcher

RECORD = {"epoch": 2, "loss": 0.51234, "accuracy": 0.8312, "val_loss": 0.6, "val_accuracy": 0.79, "seconds": 12.3,
          "images_per_second": 12345.6}


def test_the_lines_of_a_training() -> None:
    lines: list[str] = []
    watcher = LineWatcher(lines.append)
    for event in [Notice("train: 10 images"), Training("mlp", "runs/mlp-1", 10, 5), Step(1, 1, 5, 0.5), Epoch(RECORD),
                  Advance("score", 1, 2, "images"), Evaluating("validation", 2), Evaluating("test", 2)]:
        watcher.on(event)
    assert lines == [
        "train: 10 images", "training mlp → runs/mlp-1",
        "epoch  2/10  loss 0.512, val 0.600  accuracy 83.1%, val 79.0%  12.3 s  12,346/s",
        "scoring the best epoch (2) on the validation split", "scoring the best epoch (2) on the test split"]
    assert max(map(len, lines)) <= 80


def test_a_long_phase_prints_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    watcher = LineWatcher(lines.append)
    for done in range(0, 12_000_001, 2_000_000):
        watcher.on(Advance("download", done, 12_000_000, "bytes"))
    for done in (100, 0, 100):  # another phase, which then begins again
        watcher.on(Advance("features", done, 250, "images"))
    assert lines == ["downloading: 6 of 12 MB", "downloading: 12 of 12 MB"]


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, legacy_windows=False)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_bar_of_a_training_begins_with_its_first_loss() -> None:
    console = terminal()
    with BarWatcher(console) as watcher:
        watcher.on(Training("mlp", "runs/mlp-1", 2, 2))
        watcher.on(Step(1, 1, 2, 2.5))
        watcher._progress.refresh()  # type: ignore[union-attr]
        watcher.on(Epoch(RECORD))
        watcher.on(Evaluating("test", 2))
        assert watcher._progress is None
    text = shown(console)
    assert "loss 2.500" in text
    assert "epoch 1/2" in text
    assert "nan" not in text


@pytest.mark.parametrize(("phase", "unit", "words"), [
    ("download", "bytes", "downloading"), ("features", "images", "computing features"),
    ("bootstrap", "resamples", "computing intervals"), ("report", "pictures", "drawing the report")])
def test_a_long_phase_shows_a_bar(phase: str, unit: str, words: str,
                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars_module, "DELAY", 0.0)
    console = terminal()
    with BarWatcher(console) as watcher:
        watcher.on(Advance(phase, 30, 100, unit))  # type: ignore[arg-type]
        watcher._progress.refresh()  # type: ignore[union-attr]
        watcher.on(Advance(phase, 100, 100, unit))  # type: ignore[arg-type]
        assert watcher._progress is None
    assert words in shown(console)


def test_a_short_phase_shows_no_bar() -> None:
    console = terminal()
    with BarWatcher(console) as watcher:
        watcher.on(Advance("score", 1, 2, "images"))
        watcher.on(Advance("score", 2, 2, "images"))
    assert shown(console) == ""
