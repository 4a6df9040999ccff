"""Labels that a classifier contradicts."""

from __future__ import annotations

from collections.abc import Iterator

from tenfold.inspection.finding import Finding, kind
from tenfold.inspection.labels import suspected
from tenfold.inspection.subject import Subject
from tenfold.registry import FINDINGS


@FINDINGS.add("label_error")
@kind("classifier", order=7, advice="Look at the image: relabel it, or keep the label if it is right and the image "
                                    "only unusual. With few images of a class, many of these labels are right.")
def label_error(subject: Subject) -> Iterator[Finding]:
    """Labels that may be wrong: classifiers that did not see the image find another class more probable."""
    p, classes = subject.probabilities, subject.dataset.classes
    for row, score in suspected(subject.labels, p):
        given, likely = int(subject.labels[row]), int(p[row].argmax())
        yield Finding("label_error", subject.named([row]), score,
                      f"labelled {classes[given]} ({100 * p[row, given]:.0f} %), looks like {classes[likely]} "
                      f"({100 * p[row, likely]:.0f} %)", label=classes[likely])
