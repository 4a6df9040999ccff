"""Images of one colour."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tenfold.inspection.finding import Finding, kind
from tenfold.inspection.looks import Looks
from tenfold.inspection.subject import Subject
from tenfold.registry import FINDINGS

PLAIN = 3.0  # standard deviation of the levels


def is_blank(looks: Looks) -> np.ndarray:
    """Whether each image shows nothing: bool [n]."""
    return looks.contrast < PLAIN


@FINDINGS.add("blank")
@kind("pixels", order=9, advice="Drop it: there is nothing to learn from it.")
def blank(subject: Subject) -> Iterator[Finding]:
    """Images of one even colour, which show nothing."""
    looks = subject.looks
    for row in np.flatnonzero(is_blank(looks)).tolist():
        names = subject.named([row])
        yield Finding("blank", names, float(1 - looks.contrast[row] / 255),
                      f"its levels vary by {looks.contrast[row]:.1f} of 255", drop=names)
