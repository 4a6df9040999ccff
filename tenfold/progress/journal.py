"""The journal of a run: its events as lines of JSON, so that another process can follow a training live."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

from tenfold.errors import StorageError
from tenfold.progress.events import Advance, Event, Step, from_dict, to_dict
from tenfold.progress.watchers import Watcher
from tenfold.storage.files import write_whole
from tenfold.storage.paths import read_small

NAME = "events.jsonl"
LARGEST = 1 << 20  # bytes; a larger file loses its older half
PAUSE = 0.5  # seconds between two recorded steps, or two recorded advances of a phase


class Journal(Watcher):
    """Appends events to a file, each with its `time` (seconds since 1970).

    Steps and advances are frequent, so at most one is written every half second, and the last advance of each phase.
    A file larger than 1 MiB loses its older half. Write errors are ignored: they must not end the training.
    """

    def __init__(self, path: Path, pause: float = PAUSE) -> None:
        self.path, self._pause, self._checked = path, pause, False
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
        with contextlib.suppress(OSError, ValueError, TypeError, StorageError):
            if not self.path.parent.is_dir():
                return
            line = json.dumps({"time": round(time.time(), 3), **to_dict(event)}, default=float)
            if not self._checked or self.path.stat().st_size + len(line) > LARGEST:
                self._checked = True
                self._shorten()
            with self.path.open("a", encoding="ascii") as file:
                file.write(line + "\n")

    def _shorten(self) -> None:
        """Keep the newer half of a large file; end a line that a killed process cut off."""
        if not self.path.exists():
            return
        content = read_small(self.path, 2 * LARGEST)
        if len(content) > LARGEST // 2:
            content = content[len(content) // 2:].partition(b"\n")[2]
        if content and not content.endswith(b"\n"):
            content += b"\n"
        write_whole(self.path, content)


def read(path: Path) -> Iterator[tuple[float, Event]]:
    """Yield (seconds since 1970, event) for each complete line of a journal; nothing if there is no such file.

    Skips lines that another process is still writing and events of later versions.
    """
    try:
        text = read_small(path, 2 * LARGEST).decode(errors="replace")
    except (OSError, ValueError):
        return
    for line in text.split("\n"):
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
            values = json.loads(line)
            yield float(values["time"]), from_dict(values)
