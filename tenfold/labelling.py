"""Which images to label next: those of which a run's model is unsure, and which are unlike one another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import csvfile, machine
from tenfold.data.images import check_given, printable
from tenfold.errors import UsageError
from tenfold.evaluation.looking import Looked, look
from tenfold.evaluation.selection import choose, margins
from tenfold.evaluation.temperature import temperature_of
from tenfold.progress import Watcher
from tenfold.progress.notebook import chosen_watcher
from tenfold.report import labelling as page
from tenfold.run import Run

DIRECTORY, CSV, PAGE = "next", "next.csv", "index.html"
COUNT = 100
SHOWN = 200  # pictures on the page


@dataclass(frozen=True)
class Chosen:
    """The images to label next, in the order of their draw, written to the directory `path`.

    rows: a dictionary for each with its place, path, the two most probable classes and their probabilities; unread:
    reasons why files could not be read; given: the number of images to choose from.
    """

    path: Path
    rows: tuple[dict[str, Any], ...]
    given: int
    unread: tuple[str, ...] = ()

    @property
    def csv(self) -> Path:
        """The rows as CSV."""
        return self.path / CSV

    @property
    def index(self) -> Path:
        """The page with the pictures."""
        return self.path / PAGE


def next_images(run: Run | str | Path, images: Any, *, count: int = COUNT, seed: int = 0,
                watcher: Watcher | None = None) -> Chosen:
    """Choose the images to label next: up to `count` of the unlabelled ones. Needs nothing but the run.

    run: a Run or its path. images: as for `predict`. The same seed chooses the same images. Writes `next/next.csv` and
    `next/index.html` into the run, replacing what was there.

    Raises UsageError for a count below 1 or paths that do not exist, ImageError if no image can be read, RunError if
    the run has no model.
    """
    watcher = chosen_watcher(watcher)
    if count < 1:
        raise UsageError(f"count: received {count}; expected at least 1")
    machine.configure("float32")
    run = Run.open(run)
    check_given(images)
    with run.writing():
        seen = look(run, images, temperature_of(run), watcher)
        chosen = choose(seen.probabilities, seen.features, min(count, len(seen)), seed)
        rows = tuple(_row(place, seen, int(row), run.classes()) for place, row in enumerate(chosen, 1))
        pictures = seen.pixels(chosen[:SHOWN])
        content = page.page(run.name, rows, pictures, len(seen), seen.unread)

        def fill(folder: Path) -> None:
            (folder / CSV).write_text(csvfile.text(rows), encoding="utf-8", errors="replace")
            (folder / PAGE).write_text(content, encoding="utf-8", errors="replace")

        path = run.write_directory(DIRECTORY, fill)
    return Chosen(path, rows, len(seen), seen.unread)


def _row(place: int, seen: Looked, row: int, classes: tuple[str, ...]) -> dict[str, Any]:
    p = seen.probabilities[row]
    first, second = np.argsort(-p, kind="stable")[:2].tolist()
    return {"place": place, "path": printable(seen.name(row)), "predicted": classes[first],
            "probability": round(float(p[first]), 4), "second": classes[second],
            "second_probability": round(float(p[second]), 4), "margin": round(float(margins(p[None])[0]), 4)}
