"""Groups of images that must stay together in one split: named by a pattern, or bursts that are found by their pixels.

Frames of one recording look alike. If some of them are trained on and others validate, the validation split says
little about new scenes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator

import numpy as np

from tenfold.counted import are, counted
from tenfold.data.own.decoding import Decoded
from tenfold.data.own.kept_bursts import kept_bursts
from tenfold.data.own.listing import Listing, some
from tenfold.data.own.thumbnails import similarity, spectra, thumbnails
from tenfold.errors import UsageError

BURSTS = "bursts"
RULES = 1  # version of the rules by which bursts are found; raise it when they change
NEXT = 2  # how many images after it an image is compared with, in the order of names
NEAREST = 3  # how many images of its class with the most similar spectrum an image is compared with
MOST_NEAREST = 12_000  # images of a class among which the nearest are looked for
LOWEST, HIGHEST = 0.9, 0.98  # bounds of the similarity above which two images are one burst
FAR = 0.97  # at least this, for images that are not next to each other
CHANCE = 0.999  # quantile of the similarity of images that are far from each other
APART, PAIRS, FEWEST = 50, 4000, 40  # images are far from each other from 50 on; pairs of them that are compared
WITHOUT = 0.93  # bound of the similarity where there are too few images to measure that


def find_groups(
    listing: Listing, standard: Callable[[], Decoded], order: np.ndarray, how: str | None
) -> tuple[np.ndarray | None, str]:
    """(the group of each image of the listing as int64 [n], or None if each is on its own; a sentence about them).

    standard: decodes the images at one size for all recipes, so that all of them find the same bursts; order: the
    numbers of the readable images, sorted by class and name; how: as `data.group` says.
    Raises UsageError for an invalid pattern, and for one that matches no image.
    """
    if how is None:
        return None, ""
    if how != BURSTS:
        return _by_pattern(listing, order, how)
    train = order[listing.splits[order] == "train"]
    groups = np.arange(len(listing))
    groups[train] = train[kept_bursts(burst_groups, RULES, listing, standard(), train)]
    _, sizes = np.unique(groups[train], return_counts=True)
    together = sizes[sizes > 1]
    if not len(together):
        return None, ""
    return groups, (f"bursts: {together.sum():,} of {counted(len(train), 'image')} are nearly identical to others; "
                    f"they are kept together in {counted(len(together), 'group')} (data.group=none takes each image on "
                    "its own)")


def burst_groups(images: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The burst of each image: int64 [m], the first position in `rows` of an image of the same burst.

    images: uint8 [n, h, w, c]; labels: int64 [n]; rows: int64 [m], the images to look at, sorted by class and name.
    Two images of a class are one burst if their thumbnails, shifted against each other, correlate more than images
    that are far from each other do (but at least 0.9, and 0.98 is always enough). Compared are images next to each
    other in the order of names, and those with the most similar spectrum. Equal images are always one burst.
    """
    from scipy.cluster.hierarchy import DisjointSet

    small = thumbnails(images, rows)
    kinds = labels[rows]
    limit = _limit(small, kinds)
    union = DisjointSet(range(len(rows)))
    for first, second, least in _candidates(small, kinds, limit):
        for a, b in np.stack([first, second], 1)[similarity(small[first], small[second], least) >= least]:
            union.merge(int(a), int(b))
    seen: dict[bytes, int] = {}
    for position, row in enumerate(rows):
        union.merge(position, seen.setdefault(hashlib.sha256(images[row]).digest(), position))
    result = np.empty(len(rows), np.int64)
    for members in union.subsets():
        result[list(members)] = min(members)
    return result


def _limit(small: np.ndarray, kinds: np.ndarray) -> float:
    """The similarity above which images are one burst: more than chance has it for images of a class far apart."""
    first = np.arange(max(0, len(small) - APART))
    first = first[kinds[first] == kinds[first + APART]][:: max(1, len(first) // PAIRS)]
    if len(first) < FEWEST:
        return WITHOUT
    return float(np.clip(np.quantile(similarity(small[first], small[first + APART]), CHANCE) + 0.01, LOWEST, HIGHEST))


def _candidates(small: np.ndarray, kinds: np.ndarray, limit: float) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Pairs of images of one class that may be one burst, as two arrays of positions, and the similarity it takes."""
    for apart in range(1, NEXT + 1):
        first = np.arange(max(0, len(small) - apart))
        first = first[kinds[first] == kinds[first + apart]]
        yield first, first + apart, limit
    for kind in np.unique(kinds):
        members = np.flatnonzero(kinds == kind)
        if 2 < len(members) <= MOST_NEAREST:
            near = _nearest(spectra(small[members]))
            pairs = np.stack([np.repeat(np.arange(len(members)), near.shape[1]), near.ravel()], 1)
            pairs = np.unique(np.sort(pairs, axis=1), axis=0)
            yield members[pairs[:, 0]], members[pairs[:, 1]], max(limit, FAR)


def _nearest(features: np.ndarray) -> np.ndarray:
    """The positions of the nearest others of each row of float32 [n, d] with norm 1: int64 [n, at most 3]."""
    count = min(NEAREST, len(features) - 1)
    found = []
    for start in range(0, len(features), 1024):
        cosine = features[start : start + 1024] @ features.T
        cosine[np.arange(len(cosine)), np.arange(start, start + len(cosine))] = -1
        found.append(np.argpartition(-cosine, count - 1, axis=1)[:, :count])
    return np.concatenate(found)


def _by_pattern(listing: Listing, order: np.ndarray, pattern: str) -> tuple[np.ndarray, str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"data.group: received {pattern!r}, which is no regular expression ({error}); expected one "
                         "whose first group names the group, as in '(patient-[0-9]+)'") from None
    matches = [expression.search(listing.names[i]) for i in order]
    missing = [listing.names[i] for i, match in zip(order, matches, strict=True) if match is None]
    if len(missing) == len(order):
        raise UsageError(f"data.group: {pattern!r} matches no image; expected a part of their paths, such as "
                         f"{some([listing.names[order[0]]])}")
    names = [f"\0{i}" if match is None else match.group(1 if match.lastindex else 0) or ""
             for i, match in enumerate(matches)]
    distinct = {name: number for number, name in enumerate(dict.fromkeys(names))}
    groups = np.zeros(len(listing), np.int64)
    groups[order] = [distinct[name] for name in names]
    count = len(distinct) - len(missing)
    words = f"groups: {count:,} by the pattern {pattern!r}, each kept in one split"
    if missing:
        verb = are(len(missing), "matches", "match")
        words += f"; {counted(len(missing), 'image')} {verb} no group ({some(missing)})"
    return groups, words
