"""Events as lines of text, for logs and above a live bar."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Self

from tenfold.progress.events import Advance, Ended, Epoch, Evaluating, Event, Notice, Training
from tenfold.progress.watchers import Watcher

PAUSE = 10.0  # seconds between two lines of a phase
LABELS = {
    "download": "downloading", "decode": "decoding images", "features": "computing features",
    "validate": "validating", "score": "scoring", "bootstrap": "computing intervals", "corrupt": "scoring corruptions",
    "report": "drawing the report", "explain": "explaining", "bench": "measuring the speed",
    "learning_curve": "measuring the learning curve", "decide": "fitting decision rules",
    "inspect": "inspecting images", "map": "drawing the map",
}


class LineWatcher(Watcher):
    """Passes a line to `write` for each epoch and new notice, and every ten seconds during a long phase."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self.epochs, self.run = 0, ""
        self._told: set[str] = set()
        self._phase, self._done, self._written_at = "", 0, 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """After an interrupted training, say how to resume it."""
        if kind is not None and issubclass(kind, KeyboardInterrupt) and self.run:
            self._write(f"resume it with `tenfold resume {self.run}`")

    def on(self, event: Event) -> None:
        if isinstance(event, Training):
            self.epochs, self.run = event.epochs, event.run
        if isinstance(event, Ended) and event.status != "stopped":
            self.run = ""
        if isinstance(event, Advance):
            self.advanced(event)
        elif (text := self.line(event)) and not (isinstance(event, Notice) and self._is_known(text)):
            self._write(text)

    def _is_known(self, text: str) -> bool:
        """Whether a notice was written before: several trainings on the same data report the same splits."""
        known = text in self._told
        self._told.add(text)
        return known

    def line(self, event: Event) -> str:
        """The line for an event; empty if the event gets no line."""
        match event:
            case Notice(text):
                return text
            case Training(recipe, run):
                return f"training {recipe} → {run}"
            case Epoch(record):
                return epoch_line(record, self.epochs)
            case Evaluating("test", epoch):
                return f"scoring {_model(epoch)} on the test split"
            case Evaluating(split, epoch):
                return f"scoring {_model(epoch)} on the {split} split"
        return ""

    def advanced(self, event: Advance) -> None:
        """Write a line every ten seconds of a phase."""
        now = time.monotonic()
        if event.phase != self._phase or event.done < self._done:  # a phase begins, perhaps the same one again
            self._phase, self._written_at = event.phase, now
        self._done = event.done
        if now - self._written_at < PAUSE:
            return
        self._written_at = now
        done, total = ((event.done, event.total) if event.unit != "bytes" else
                       (event.done // 1_000_000, event.total and event.total // 1_000_000))
        whole = f" of {total:,}" if total else ""
        self._write(f"{LABELS[event.phase]}: {done:,}{whole} {'MB' if event.unit == 'bytes' else event.unit}")


def epoch_line(values: Mapping[str, float], epochs: int) -> str:
    """The line for one epoch, at most 80 columns wide."""
    loss, accuracy = f"loss {values['loss']:.3f}", f"accuracy {values['accuracy']:.1%}"
    if "val_loss" in values:
        loss += f", val {values['val_loss']:.3f}"
        accuracy += f", val {values['val_accuracy']:.1%}"
    return (f"epoch {int(values['epoch']):>{len(str(epochs))}}/{epochs}  {loss}  {accuracy}  "
            f"{values['seconds']:.1f} s  {values['images_per_second']:,.0f}/s")


def _model(epoch: int) -> str:
    """The model that is scored; that of an ensemble has no epoch."""
    return f"the best epoch ({epoch})" if epoch else "the model"
