"""Equal images in more than one split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tenfold.inspection.finding import Finding, kind
from tenfold.inspection.subject import Subject
from tenfold.registry import FINDINGS


@FINDINGS.add("leak")
@kind("pixels", order=2, advice="Drop the training copies: a model that has seen a test image is judged too well.")
def leak(subject: Subject) -> Iterator[Finding]:
    """The same pixels in more than one split."""
    for rows in subject.equal:
        if len(set(subject.splits[rows])) > 1:
            yield Finding("leak", subject.named(rows), 1.0, subject.places(rows), drop=kept_for_judging(subject, rows))


def kept_for_judging(subject: Subject, rows: np.ndarray) -> tuple[str, ...]:
    """The names of those that may go so that the group is left in one split: test, else validation."""
    last = "test" if "test" in subject.splits[rows] else "validation"
    return subject.named(rows[subject.splits[rows] != last])
