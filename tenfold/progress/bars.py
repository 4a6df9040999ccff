"""A live progress bar on a terminal, drawn with Rich."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tenfold.progress.events import Advance, Epoch, Event, Step, Training
from tenfold.progress.lines import LABELS, LineWatcher

BAR_WIDTH = 24  # columns: a bar as wide as the terminal would leave remains behind the "^C" of an interrupt
DELAY = 0.3  # seconds: a shorter phase gets no bar


class BarWatcher(LineWatcher):
    """Prints lines, and below them a live bar of the training or of the current phase."""

    def __init__(self, console: Console) -> None:
        super().__init__(lambda text: console.print(escape(text)))
        self.console = console
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._shown = ""  # the phase that the bar shows; "train" during training
        self._start_times: dict[str, float] = {}

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close()
        super().__exit__(kind)

    def on(self, event: Event) -> None:
        if isinstance(event, Step):
            self._stepped(event)
            return
        if self._shown == "train" and not isinstance(event, (Epoch, Advance)):
            self._close()
        super().on(event)
        if isinstance(event, Training):
            self._start_times.clear()

    def _stepped(self, event: Step) -> None:
        if self._shown != "train":
            self._open("train", TextColumn("{task.description}"), BarColumn(BAR_WIDTH),
                       TextColumn("{task.percentage:>3.0f} %"), TextColumn("loss {task.fields[loss]:.3f}"),
                       TimeRemainingColumn(), TextColumn("left"), total=self.epochs, loss=event.loss,
                       description=f"epoch {event.epoch}/{self.epochs}", completed=event.epoch - 1)
        self._update(completed=event.epoch - 1 + event.step / event.steps, loss=event.loss,
                     description=f"epoch {event.epoch}/{self.epochs}")

    def advanced(self, event: Advance) -> None:
        """Show a phase that takes longer than 0.3 s; during training, the training's bar shows the validation."""
        if self._shown == "train":
            if event.phase == "validate" and event.total:
                self._update(description=f"validating {event.done / event.total:4.0%}")
            return
        if event.done == event.total:
            self._start_times.pop(event.phase, None)
            self._close()
            return
        started = self._start_times.setdefault(event.phase, time.monotonic())
        if self._shown != event.phase:
            if time.monotonic() - started < DELAY:
                return
            counted = DownloadColumn() if event.unit == "bytes" else TextColumn(
                "{task.completed:,.0f} of {task.total:,.0f} " + event.unit)
            self._open(event.phase, TextColumn("{task.description}"), BarColumn(BAR_WIDTH), counted,
                       TimeRemainingColumn(), total=event.total, description=LABELS[event.phase])
        self._update(completed=event.done, total=event.total)

    def _open(self, shown: str, *columns: Any, total: float | None, description: str, **fields: Any) -> None:
        self._close()
        self._progress = Progress(*columns, console=self.console, transient=True)
        self._task = self._progress.add_task(description, total=total, **fields)
        self._progress.start()
        self._shown = shown

    def _update(self, **values: Any) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, **values)

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._task = None
        self._shown = ""


def terminal_watcher() -> LineWatcher:
    """A context manager that shows progress on standard error: a live bar on a terminal, a line per epoch elsewhere."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    return BarWatcher(console) if console.is_terminal else LineWatcher(lambda text: console.print(escape(text)))
