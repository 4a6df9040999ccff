"""The journal of a run: its events as lines of JSON, from which another process can follow a training live."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

from tenfold.progress.events import Advance, Event, Step, from_dict, to_dict
from tenfold.progress.watchers import Watcher

NAME = "events.jsonl"
LARGEST = 1 << 20  # bytes; then the older half goes
PAUSE = 0.5  # seconds between two steps, or two advances of a phase, that are noted


class Journal(Watcher):
    """Appends events to a file, each with its `time` (seconds since 1970).

    Steps and advances come often: one in half a second is noted, and the last advance of a phase. A file that grows
    beyond 1 MiB loses its older half. A journal that can't be written is given up: it never ends the work.
    """

    def __init__(self, path: Path, clock: float = PAUSE) -> None:
        self.path, self._pause = path, clock
        self._noted: dict[object, float] = {}

    def on(self, event: Event) -> None:
        if not self._often(event):
            self._append(event)

    def _often(self, event: Event) -> bool:
        """Whether an event of its kind was noted a moment ago."""
        kind: object
        if isinstance(event, Step):
            kind = Step
        elif isinstance(event, Advance) and event.done != event.total:
            kind = event.phase
        else:
            return False
        now = time.monotonic()
        if now - self._noted.get(kind, -self._pause) < self._pause:
            return True
        self._noted[kind] = now
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
        beside = self.path.with_name(f"{self.path.name}.new")
        beside.write_bytes(kept)
        beside.replace(self.path)


def read(path: Path) -> Iterator[tuple[float, Event]]:
    """(seconds since 1970, event) of each whole line of a journal; none if there is no file.

    A line that another process is just writing, or that a later version wrote, is passed over.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        with contextlib.suppress(ValueError, TypeError, KeyError):
            values = json.loads(line)
            yield float(values["time"]), from_dict(values)
