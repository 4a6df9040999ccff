"""The journal of a run: its events as lines of JSON, so that another process can follow a training live."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

from tenfold.progress.events import Advance, Event, Step, from_dict, to_dict
from tenfold.progress.watchers import Watcher

NAME = "events.jsonl"
LARGEST = 1 << 20  # bytes; a larger file loses its older half
PAUSE = 0.5  # seconds between two recorded steps, or two recorded advances of a phase


class Journal(Watcher):
    """Appends events to a file, each with its `time` (seconds since 1970).

    Steps and advances are frequent, so at most one is written every half second, and the last advance of each phase.
    A file larger than 1 MiB loses its older half. Write errors are ignored: they must not end the training.
    """

    def __init__(self, path: Path, clock: float = PAUSE) -> None:
        self.path, self._pause = path, clock
        self._written: dict[object, float] = {}

    def on(self, event: Event) -> None:
        if not self._too_soon(event):
            self._append(event)

    def _too_soon(self, event: Event) -> bool:
        """Whether an event of the same kind was written less than a pause ago."""
        kind: object
        if isinstance(event, Step):
            kind = Step
        elif isinstance(event, Advance) and event.done != event.total:
            kind = event.phase
        else:
            return False
        now = time.monotonic()
        if now - self._written.get(kind, -self._pause) < self._pause:
            return True
        self._written[kind] = now
        return False

    def _append(self, event: Event) -> None:
        with contextlib.suppress(OSError):
            if not self.path.parent.is_dir():
                return
            if self.path.exists() and self.path.stat().st_size > LARGEST:
                self._halve()
            line = json.dumps({"time": round(time.time(), 3), **to_dict(event)}, ensure_ascii=False)
            with self.path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(line + "\n")

    def _halve(self) -> None:
        content = self.path.read_bytes()
        kept = content[content.index(b"\n", len(content) // 2) + 1 :]
        new = self.path.with_name(f"{self.path.name}.new")
        new.write_bytes(kept)
        new.replace(self.path)


def read(path: Path) -> Iterator[tuple[float, Event]]:
    """Yield (seconds since 1970, event) for each complete line of a journal; nothing if there is no file.

    Skips lines that another process is still writing and events of later versions.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        with contextlib.suppress(ValueError, TypeError, KeyError):
            values = json.loads(line)
            yield float(values["time"]), from_dict(values)
