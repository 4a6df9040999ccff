"""Equal images with different labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tenfold.inspection.finding import Finding, kind
from tenfold.inspection.subject import Subject
from tenfold.registry import FINDINGS


@FINDINGS.add("conflict")
@kind("pixels", order=3, advice="Decide on one label, and drop or relabel the other copies.")
def conflict(subject: Subject) -> Iterator[Finding]:
    """The same pixels with different labels: at least one label is wrong."""
    for rows in subject.equal:
        if len(np.unique(subject.labels[rows])) > 1:
            yield Finding("conflict", subject.named(rows), 1.0, subject.places(rows))
