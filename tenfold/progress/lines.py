"""Events as lines of text: for logs, and above a live bar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Self

from tenfold.progress.events import Advance, Epoch, Evaluating, Event, Notice, Training
from tenfold.progress.watchers import Watcher

LABELS = {
    "download": "downloading", "decode": "decoding images", "features": "computing features",
    "validate": "validating", "score": "scoring", "bootstrap": "computing intervals", "corrupt": "scoring corruptions",
    "report": "drawing the report", "explain": "explaining",
}


class LineWatcher(Watcher):
    """Gives a line to `write` for each notice and each epoch, and for each tenth of a download."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self.epochs = 0
        self._tenth = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Put away what is shown for a moment only."""

    def on(self, event: Event) -> None:
        if isinstance(event, Training):
            self.epochs = event.epochs
        if isinstance(event, Advance):
            self.advanced(event)
        elif text := self.line(event):
            self._write(text)

    def line(self, event: Event) -> str:
        """The line for an event; empty for one that has none."""
        match event:
            case Notice(text):
                return text
            case Training(recipe, run):
                return f"training {recipe} → {run}"
            case Epoch(record):
                return epoch_line(record, self.epochs)
            case Evaluating("test", epoch):
                return f"scoring the best epoch ({epoch}) on the test split"
            case Evaluating(split, epoch):
                return f"scoring the best epoch ({epoch}) on the {split} split"
        return ""

    def advanced(self, event: Advance) -> None:
        """A part of a phase is done: told for downloads alone, which take longest."""
        if event.phase != "download":
            return
        tenth = event.done * 10 // event.total if event.total else event.done // 10_000_000
        if tenth != self._tenth:
            self._tenth = tenth
            whole = f" of {event.total / 1e6:.0f}" if event.total else ""
            self._write(f"{LABELS[event.phase]}: {event.done / 1e6:.0f}{whole} MB")


def epoch_line(values: Mapping[str, float], epochs: int) -> str:
    """One epoch in at most 80 columns."""
    loss, accuracy = f"loss {values['loss']:.3f}", f"accuracy {values['accuracy']:.1%}"
    if "val_loss" in values:
        loss += f", val {values['val_loss']:.3f}"
        accuracy += f", val {values['val_accuracy']:.1%}"
    return (f"epoch {int(values['epoch']):>{len(str(epochs))}}/{epochs}  {loss}  {accuracy}  "
            f"{values['seconds']:.1f} s  {values['images_per_second']:,.0f}/s")
