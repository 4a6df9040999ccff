"""Classes with many more training images than others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tenfold.counted import counted
from tenfold.inspection.finding import Finding, kind
from tenfold.inspection.subject import Subject
from tenfold.registry import FINDINGS

TIMES = 10.0  # the largest class has at least so many times the images of the smallest


@FINDINGS.add("imbalance")
@kind("files", order=14, advice="Add images of the small classes, or set train.class_weights=balanced; judge by the "
                                "macro metrics, not by the accuracy.")
def imbalance(subject: Subject) -> Iterator[Finding]:
    """One class has at least ten times the training images of another."""
    classes = subject.dataset.classes
    counts = np.bincount(subject.dataset.train.labels, minlength=len(classes))
    most, fewest = int(counts.argmax()), int(counts.argmin())
    if counts[most] >= TIMES * max(1, counts[fewest]):
        yield Finding("imbalance", (), 1 - float(counts[fewest] / counts[most]),
                      f"{classes[most]} has {counted(counts[most], subject.image)}, {classes[fewest]} "
                      f"{counts[fewest]:,}")
