"""Nearly equal images within one split."""

from __future__ import annotations

from collections.abc import Iterator

from tenfold.inspection.finding import Finding, kind
from tenfold.inspection.subject import Subject
from tenfold.registry import FINDINGS


@FINDINGS.add("near_duplicate")
@kind("pairs", order=8, advice="Keep one if they are copies. Frames of one recording may stay; Tenfold keeps them "
                               "together in one split (data.group).")
def near_duplicate(subject: Subject) -> Iterator[Finding]:
    """Images of one split that are nearly the same: re-encoded, shifted, brighter or darker."""
    for rows, similarity in subject.near:
        if len(set(subject.splits[rows])) == 1:
            yield Finding("near_duplicate", subject.named(rows), similarity,
                          f"{similarity:.1%} alike: {subject.places(rows)}",
                          drop=subject.named(rows[rows != subject.largest(rows)]))
