"""Images that are almost black."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tenfold.inspection.finding import Finding, kind
from tenfold.inspection.kinds.blank import is_blank
from tenfold.inspection.subject import Subject
from tenfold.registry import FINDINGS

DARK = 64.0  # grey level, of 255, that only 1 % of the pixels exceed


@FINDINGS.add("dark")
@kind("pixels", order=10, advice="Drop it if you can't tell the class yourself; keep it if such images will come.")
def dark(subject: Subject) -> Iterator[Finding]:
    """Images so dark that little can be seen: nearly all pixels are below a quarter of full brightness."""
    looks = subject.looks
    for row in np.flatnonzero((looks.bright < DARK) & ~is_blank(looks)).tolist():
        yield Finding("dark", subject.named([row]), float(1 - looks.bright[row] / 255),
                      f"99 % of the pixels are below {looks.bright[row] / 255:.0%} brightness")
