"""Nearly equal images among many: re-encoded, shifted by a few pixels, brighter or darker.

Candidates are pairs with similar spectra, which neither a shift nor the brightness changes much: one matrix product
for all pairs. They are confirmed by the correlation of their thumbnails, moved onto each other: of the grey levels and
of the details, because smooth images with the same layout correlate without being the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tenfold.data.own.thumbnails import details, log_spectra, similarity
from tenfold.errors import DataError
from tenfold.progress import Watcher, stop_if_asked

CANDIDATE = 0.5  # cosine of two spectra
SAME = 0.9  # correlation of grey levels
LENIENT = 0.25  # copies that are shifted by an odd number of pixels are less alike at half the side
SAME_DETAILS = 0.85  # correlation of details
FLATTEST = 4.0  # standard deviation of grey levels; images below have nothing to compare
ROWS, COLUMNS = 1024, 8192  # of the blocks of the matrix product
TINY = 1e-6
MOST_IMAGES = 200_000  # the time grows with the square
MOST = 16  # candidates of an image: where there are more, all images look alike


@dataclass(frozen=True)
class Near:
    """Pairs of nearly equal images int64 [m, 2], the lower position first, and their similarity float32 [m]."""

    pairs: np.ndarray
    similarity: np.ndarray


def find_near(small: np.ndarray, watcher: Watcher) -> Near:
    """The nearly equal pairs among thumbnails uint8 [n, 32, 32]. Raises DataError for too many images."""
    if len(small) > MOST_IMAGES:
        raise DataError(f"received {len(small):,} images; expected at most {MOST_IMAGES:,} to look for nearly equal "
                        "ones: check parts of the data set")
    shown = np.flatnonzero(small.std(axis=(1, 2)) >= FLATTEST) if len(small) else np.zeros(0, np.int64)
    codes = _codes(small[shown])
    pairs, scores = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    for done, candidates in _candidates(codes):
        stop_if_asked(watcher)
        rows = shown[candidates]
        score = confirmed(small[rows[:, 0]].astype(np.float32), small[rows[:, 1]].astype(np.float32))
        pairs.append(rows[score > 0])
        scores.append(score[score > 0])
        watcher.advance("inspect", done, len(shown), "images")
    return Near(np.concatenate(pairs), np.concatenate(scores))


def confirmed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The similarity of pairs of thumbnails float32 [m, 32, 32] that are nearly equal, else 0: float32 [m]."""
    grey = similarity(first, second, SAME - LENIENT)
    score = np.zeros(len(first), np.float32)
    kept = np.flatnonzero(grey >= SAME)
    fine = similarity(details(first[kept]), details(second[kept]))
    score[kept] = np.where(fine >= SAME_DETAILS, grey[kept], 0)
    return score


def _codes(small: np.ndarray) -> np.ndarray:
    """Spectra of thumbnails, float32 [n, d] of norm 1, without what the contrast or most images share."""
    if not len(small):
        return np.zeros((0, 1), np.float32)
    codes = np.concatenate([log_spectra(small[i : i + ROWS].astype(np.float32)) for i in range(0, len(small), ROWS)])
    codes -= codes.mean(axis=1, keepdims=True)
    codes -= codes.mean(axis=0)
    codes /= np.maximum(codes.std(axis=0), TINY)
    return codes / np.maximum(np.linalg.norm(codes, axis=1, keepdims=True), TINY)


def _candidates(codes: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """(finished rows, pairs int64 [m, 2]) of codes whose cosine is high, block by block."""
    for start in range(0, len(codes), ROWS):
        found, cosines = [], []
        for left in range(start, len(codes), COLUMNS):
            cosine = codes[start : start + ROWS] @ codes[left : left + COLUMNS].T
            row, column = np.nonzero(cosine > CANDIDATE)
            pairs = np.stack([row + start, column + left], axis=1)
            later = pairs[:, 0] < pairs[:, 1]
            found.append(pairs[later])
            cosines.append(cosine[row[later], column[later]])
        yield min(start + ROWS, len(codes)), _nearest(np.concatenate(found), np.concatenate(cosines))


def _nearest(pairs: np.ndarray, cosine: np.ndarray) -> np.ndarray:
    """The pairs without those beyond the `MOST` with the highest cosine of each first image."""
    order = np.lexsort((-cosine, pairs[:, 0]))
    pairs = pairs[order]
    rank = np.arange(len(pairs)) - np.searchsorted(pairs[:, 0], pairs[:, 0])
    return pairs[rank < MOST]
