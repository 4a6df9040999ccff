"""The page of an inspection: the images of each finding side by side, with a decision for each image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tenfold.counted import counted
from tenfold.report.html import render
from tenfold.report.thumbnails import Sheet, Thumbnail

SIDE = 96  # height and width of stored images, in pixels at most
FEWER = 600  # images from which on they are stored smaller, so that the page stays small
SMALL_SIDE = 48


@dataclass(frozen=True)
class Picture:
    """An image of a finding: its name, its class and split in words, its pixels uint8 [h, w, c] or None."""

    name: str
    words: str
    pixels: np.ndarray | None


@dataclass(frozen=True)
class Row:
    """A finding: its images, its score, what was found, and the proposed decisions by image.

    A proposal is "drop" or "relabel:CLASS".
    """

    pictures: Sequence[Picture]
    score: float
    words: str
    proposed: dict[str, str] = field(default_factory=dict)
    hidden: int = 0  # images of the finding that are not shown


@dataclass(frozen=True)
class Section:
    """The findings of one kind; `rest`: proposed decisions about images that are not shown."""

    kind: str
    meaning: str
    advice: str
    count: int
    rows: Sequence[Row]
    rest: dict[str, str] = field(default_factory=dict)

    @property
    def proposals(self) -> int:
        """The number of images with a proposed decision."""
        return len({image for row in self.rows for image in row.proposed} | set(self.rest))

    @property
    def rest_json(self) -> str:
        """`rest` as JSON."""
        return json.dumps(self.rest)

    @property
    def title(self) -> str:
        """The name of the kind in words."""
        return self.kind.replace("_", " ").capitalize()


def page(name: str, about: str, classes: Sequence[str], sections: Sequence[Section], skipped: Sequence[str],
         decided: Sequence[tuple[str, str, str]] = ()) -> str:
    """The page as HTML. about: the numbers of images; skipped: sentences about kinds that were not looked for.

    decided: (image, decision, label) of earlier decisions.
    """
    count = sum(len(row.pictures) for section in sections for row in section.rows)
    side = SIDE if count < FEWER else SMALL_SIDE
    sheet = Sheet("small", side=side, shown=96)
    shown: list[tuple[Section, list[tuple[Row, list[tuple[Picture, Thumbnail | None]]]]]] = []
    for section in sections:
        rows = [(row, [(each, None if each.pixels is None else sheet.add(each.pixels, f"{each.name}, {each.words}"))
                       for each in row.pictures]) for row in section.rows]
        shown.append((section, rows))
    return render("inspection.html", scripts=("page.js", "tables.js", "inspection.js"), title=name, about=about,
                  classes=classes, sections=shown, skipped=skipped, decided=json.dumps(decided), sheets=[sheet.style()],
                  total=counted(sum(section.count for section in sections), "finding"))
