"""Images unlike all others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tenfold.inspection.finding import Finding, kind
from tenfold.inspection.kinds.blank import is_blank
from tenfold.inspection.nearest import reference_distance
from tenfold.inspection.subject import Subject
from tenfold.registry import FINDINGS

FEWEST = 50  # images to compare with
FAR = 3.5  # robust standard deviations above the median distance
MOST, AT_LEAST = 0.01, 10  # of the images: at most this fraction, or this number


@FINDINGS.add("odd")
@kind("features", order=16, advice="Look whether it belongs to the data set at all; drop it if it does not.")
def odd(subject: Subject) -> Iterator[Finding]:
    """Images far from all others in the features of a pretrained network."""
    if len(subject) < FEWEST:
        return
    distance = reference_distance(subject.features)
    distance[is_blank(subject.looks)] = np.median(distance)
    middle = np.median(distance)
    spread = 1.4826 * float(np.median(np.abs(distance - middle)))
    limit = max(middle + FAR * spread, np.quantile(distance, 1 - min(1, max(MOST, AT_LEAST / len(distance)))))
    for row in np.flatnonzero(distance > limit).tolist():
        yield Finding("odd", subject.named([row]), float(min(1.0, distance[row])),
                      f"its neighbours are {distance[row] / max(middle, 1e-6):.1f} times as far as is usual")
