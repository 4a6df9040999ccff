"""A live progress bar in a Jupyter notebook: one output, updated in place."""

from __future__ import annotations

import html
import sys
import time
from typing import Any

from tenfold.errors import UsageError, type_of
from tenfold.progress.events import Advance, Ended, Epoch, Event, Step, Training
from tenfold.progress.lines import LABELS, LineWatcher
from tenfold.progress.watchers import SILENT, Watcher

PAUSE = 0.2  # seconds between two updates of the bar


class NotebookWatcher(LineWatcher):
    """Shows the latest line and a bar in one output of the cell; at the end, the training's last line stays."""

    def __init__(self) -> None:
        super().__init__(self._say)
        self._text, self._bar, self._drawn = "", "", 0.0
        self._display: Any = None

    def on(self, event: Event) -> None:
        super().on(event)
        match event:
            case Step(epoch, step, steps, loss):
                self._progress(f"epoch {epoch}/{self.epochs}, loss {loss:.3f}", epoch - 1 + step / steps, self.epochs)
            case Training() | Epoch():
                self._draw()
            case Ended(run, status):
                self._bar = ""
                self._say(f"{self._text} · {status}: {run}")

    def advanced(self, event: Advance) -> None:
        self._progress(LABELS[event.phase], event.done, event.total)
        if event.done == event.total:
            self._bar = ""

    def _progress(self, label: str, done: float, total: float | None) -> None:
        value = f' value="{done:.4f}" max="{total}"' if total else ""
        self._bar = f"<progress{value}></progress> {html.escape(label)}"
        if time.monotonic() - self._drawn > PAUSE:
            self._draw()

    def _say(self, text: str) -> None:
        self._text = text
        self._draw()

    def _draw(self) -> None:
        from IPython.display import HTML, display

        self._drawn = time.monotonic()
        content = HTML(f"<div>{html.escape(self._text)}</div><div>{self._bar}</div>")
        if self._display is None:
            self._display = display(content, display_id=True)
        else:
            self._display.update(content)


def chosen_watcher(watcher: Watcher | None) -> Watcher:
    """The caller's watcher; without one, a live bar in a notebook and silence elsewhere.

    Raises UsageError for anything that is not a Watcher.
    """
    if watcher is None:
        shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
        return NotebookWatcher() if type(shell).__name__ == "ZMQInteractiveShell" else SILENT
    if not isinstance(watcher, Watcher):
        raise UsageError(f"watcher: received {type_of(watcher)}; expected a tenfold.Watcher: make a subclass "
                         "that overrides `on`")
    return watcher
