"""Groups of equal images, and groups that pairs of nearly equal images make."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def equal_groups(digests: Sequence[bytes]) -> list[np.ndarray]:
    """The positions of each digest that occurs more than once: ascending int64 arrays, in order of the first."""
    places: dict[bytes, list[int]] = {}
    for position, digest in enumerate(digests):
        places.setdefault(digest, []).append(position)
    return [np.array(found, np.int64) for found in places.values() if len(found) > 1]


def joined(first: np.ndarray, pairs: np.ndarray, similarity: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """(positions, lowest similarity) of the groups that pairs make, in order of the first position.

    first: int64 [n], the first image that equals each one; pairs: int64 [m, 2] of first images; similarity: [m].
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(pairs):
        return []
    links = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), (len(first), len(first)))
    _, group_of_first = connected_components(links, directed=False)
    group = group_of_first[first]
    lowest = np.full(group.max() + 1, np.inf)
    np.minimum.at(lowest, group[pairs[:, 0]], similarity)
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    found = [(rows, float(lowest[group[rows[0]]])) for rows in members if np.isfinite(lowest[group[rows[0]]])]
    return sorted(found, key=lambda item: int(item[0][0]))
