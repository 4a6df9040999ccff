"""Classes with very few training images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tenfold.counted import counted
from tenfold.inspection.finding import Finding, kind
from tenfold.inspection.subject import Subject
from tenfold.registry import FINDINGS

FEW = 20  # training images


@FINDINGS.add("tiny_class")
@kind("files", order=15, advice="Add images; with so few, neither training nor the metrics of this class are reliable.")
def tiny_class(subject: Subject) -> Iterator[Finding]:
    """A class with fewer than 20 training images."""
    train = subject.splits == "train"
    for label, name in enumerate(subject.dataset.classes):
        rows = np.flatnonzero(train & (subject.labels == label))
        if len(rows) < FEW:
            yield Finding("tiny_class", subject.named(rows), 1 - len(rows) / FEW,
                          f"{name}: {counted(len(rows), subject.image)}")
