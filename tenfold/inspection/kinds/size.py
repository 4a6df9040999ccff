"""Images with an unusual height and width."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from tenfold.inspection.finding import Finding, kind
from tenfold.inspection.subject import Subject
from tenfold.registry import FINDINGS

NEARLY_ALL = 0.95  # if so many images have one size, every other size is unusual
SMALLER = 4.0  # times smaller than the median
LONGER = 3.0  # times longer in proportion to its width than the median


@FINDINGS.add("size")
@kind("files", order=13, advice="Look whether it is a thumbnail, a strip or a screenshot; replace it by the original, "
                                "or drop it.")
def size(subject: Subject) -> Iterator[Finding]:
    """Images that are much smaller or much longer than most, or the few that do not have the size of all others."""
    names = [name for name in subject.names if name in subject.headers]
    if not names:
        return
    sizes = np.array([(subject.headers[name][0].width, subject.headers[name][0].height) for name in names], float)
    (usual, most), = Counter(map(tuple, sizes.tolist())).most_common(1)
    side, shape = np.sqrt(sizes.prod(axis=1)), np.abs(np.log(sizes[:, 0] / sizes[:, 1]))
    smaller, longer = np.median(side) / side, np.exp(shape - np.median(shape))
    if most >= NEARLY_ALL * len(names):
        wrong, words = (sizes != usual).any(axis=1), f"most have {usual[0]:.0f}×{usual[1]:.0f}"
    else:
        wrong = (smaller >= SMALLER) | (longer >= LONGER)
        words = f"the median side is {np.median(side):.0f}"
    for row in np.flatnonzero(wrong):
        score = 1 - 1 / max(smaller[row], 1 / smaller[row], longer[row])
        yield Finding("size", (names[row],), float(score), f"{sizes[row, 0]:.0f}×{sizes[row, 1]:.0f} pixels; {words}")
