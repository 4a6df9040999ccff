"""The page of the images to label next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tenfold.counted import are, counted
from tenfold.report.drift import MOST_UNREAD
from tenfold.report.html import render
from tenfold.report.plots.heat import SIDE, enlarge
from tenfold.report.thumbnails import Sheet


def summary(rows: Sequence[Mapping[str, Any]], given: int) -> str:
    """What was chosen, in a sentence."""
    if len(rows) == given:
        return (f"{counted(given, 'image')}: all that {are(given, 'was', 'were')} given; with a smaller --count the "
                "most useful are chosen.")
    return (f"{len(rows):,} of {counted(given, 'image')} to label next: those of which the model is unsure, and which "
            "are unlike one another, in the order of their draw.")


def page(run: str, rows: Sequence[Mapping[str, Any]], pictures: Sequence[np.ndarray], given: int,
         unread: Sequence[str]) -> str:
    """The page: a picture (uint8 [h, w, c]) for each of the first rows, then all rows as a table."""
    sheet = Sheet("large", side=SIDE, shown=SIDE)
    tiles = [(sheet.add(enlarge(picture), f"{row['path']}: {guess(row)}"), row, guess(row))
             for row, picture in zip(rows, pictures, strict=False)]
    return render("labelling.html", title="Images to label next", run=run, sentence=summary(rows, given), tiles=tiles,
                  rows=rows, cautions=unread[:MOST_UNREAD], sheets=[sheet.style()])


def guess(row: Mapping[str, Any]) -> str:
    """The two most probable classes of an image, as "cat 41.2 %, dog 38.0 %"."""
    pairs = (("predicted", "probability"), ("second", "second_probability"))
    return ", ".join(f"{row[name]} {100 * row[p]:.1f} %" for name, p in pairs)
