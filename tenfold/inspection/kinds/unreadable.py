"""Files that can't be decoded."""

from __future__ import annotations

from collections.abc import Iterator

from tenfold.inspection.finding import Finding, kind
from tenfold.inspection.subject import Subject
from tenfold.registry import FINDINGS


@FINDINGS.add("unreadable")
@kind("files", order=1, advice="Restore the file from its source, or drop it: training leaves it out anyway.")
def unreadable(subject: Subject) -> Iterator[Finding]:
    """Damaged or truncated files, whose pixels can't be read."""
    for each in subject.dataset.left_out:
        if each.unreadable:
            yield Finding("unreadable", (each.name,), 1.0, each.reason, drop=(each.name,))
