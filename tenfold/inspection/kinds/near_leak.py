"""Nearly equal images in more than one split."""

from __future__ import annotations

from collections.abc import Iterator

from tenfold.inspection.finding import Finding, kind
from tenfold.inspection.kinds.leak import kept_for_judging
from tenfold.inspection.subject import Subject
from tenfold.registry import FINDINGS


@FINDINGS.add("near_leak")
@kind("pairs", order=4, advice="Drop the training copies: a model that has seen nearly the same image is judged too "
                               "well.")
def near_leak(subject: Subject) -> Iterator[Finding]:
    """Nearly the same image in more than one split: re-encoded, shifted, brighter or darker."""
    for rows, similarity in subject.near:
        if len(set(subject.splits[rows])) > 1:
            yield Finding("near_leak", subject.named(rows), similarity,
                          f"{similarity:.1%} alike: {subject.places(rows)}", drop=kept_for_judging(subject, rows))
