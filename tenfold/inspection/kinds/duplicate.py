"""Equal images within one split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tenfold.inspection.finding import Finding, kind
from tenfold.inspection.subject import Subject
from tenfold.registry import FINDINGS


@FINDINGS.add("duplicate")
@kind("pixels", order=6, advice="Keep one of them, else the image counts several times.")
def duplicate(subject: Subject) -> Iterator[Finding]:
    """Images of one split with exactly the same pixels."""
    for rows in subject.equal:
        if len(set(subject.splits[rows])) == 1:
            names = subject.named(rows)
            same_label = len(np.unique(subject.labels[rows])) == 1
            yield Finding("duplicate", names, 1.0, f"{len(rows):,} times{subject.in_split(rows[0])}",
                          drop=names[1:] if same_label else ())
