"""Images that are much less sharp than the others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tenfold.inspection.finding import Finding, kind
from tenfold.inspection.kinds.blank import is_blank
from tenfold.inspection.subject import Subject
from tenfold.registry import FINDINGS

FEWEST = 20  # images to compare with
RATIO = 0.5  # of the median sharpness
FAR = 4.0  # robust standard deviations below the median of the logarithms


@FINDINGS.add("blurred")
@kind("pixels", order=11, advice="Drop it if you can't tell the class yourself; keep it if such images will come.")
def blurred(subject: Subject) -> Iterator[Finding]:
    """Images much less sharp than most, at the size at which they are read."""
    looks = subject.looks
    rows = np.flatnonzero(~is_blank(looks) & (looks.sharpness > 0))
    if len(rows) < FEWEST:
        return
    sharp = np.log(looks.sharpness[rows])
    median = np.median(sharp)
    limit = min(np.log(RATIO), -FAR * 1.4826 * float(np.median(np.abs(sharp - median))))
    for row, below in zip(rows.tolist(), sharp - median, strict=True):
        if below < limit:
            yield Finding("blurred", subject.named([row]), float(1 - np.exp(below)),
                          f"its sharpness is {np.exp(below):.0%} of the median")
