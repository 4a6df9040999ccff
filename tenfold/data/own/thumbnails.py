"""Small grey versions of images, and how alike two of them are when one may be shifted against the other."""

from __future__ import annotations

import itertools

import numpy as np

from tenfold.data.fitting import fit

SIDE = 32  # height and width of a thumbnail, in pixels
SHIFT = 6  # pixels by which one may be shifted against the other, each way
COARSE = 2  # thumbnails of half the side are compared first
MARGIN = 0.15  # by which pairs may be less alike at half the side
BLOCK = 1024  # pairs compared at a time
FINE, COARSE_DETAILS = 0.6, 2.5  # pixels: details are coarser than the first and finer than the second
FLAT = 1e-3  # variance of an image without structure


def thumbnails(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Grey thumbnails float32 [m, 32, 32] of the images uint8 [n, h, w, c] at `rows` (int [m]).

    Black bars above and below, or left and right, are cut off: they would make all padded images look alike.
    """
    result = np.empty((len(rows), SIDE, SIDE), np.float32)
    for i, row in enumerate(rows):
        image = without_bars(np.asarray(images[row]))
        plan = fit((image.shape[0], image.shape[1]), (SIDE, SIDE, image.shape[2]), "stretch")
        result[i] = plan.apply(image).mean(axis=2)
    return result


def without_bars(image: np.ndarray) -> np.ndarray:
    """The image uint8 [h, w, c] without the bars of the same size that padding adds on two opposite sides."""
    top, bottom, left, right = lit(image)
    return np.ascontiguousarray(image[top:bottom, left:right])


def lit(image: np.ndarray) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of the part of an image uint8 [h, w, c] between such bars, as ends of slices."""
    height, width = image.shape[:2]
    rows = np.flatnonzero(np.any(image.reshape(height, -1), axis=1))
    columns = np.flatnonzero(np.any(np.any(image, axis=0), axis=1))
    if len(rows):
        top, bottom, left, right = map(int, (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
        if left == width - right == 0 and abs(top - (height - bottom)) <= 1:
            return top, bottom, 0, width
        if top == height - bottom == 0 and abs(left - (width - right)) <= 1:
            return 0, height, left, right
    return 0, height, 0, width


def similarity(first: np.ndarray, second: np.ndarray, least: float = -1.0) -> np.ndarray:
    """The highest correlation of pairs of thumbnails float32 [n, 32, 32] over all shifts: float32 [n], -1 to 1.

    Pairs that are less alike than `least`, by a wide margin, at half the side get -1.
    """
    result = np.full(len(first), -1.0, np.float32)
    for start in range(0, len(first), BLOCK):
        a, b = first[start : start + BLOCK], second[start : start + BLOCK]
        kept = np.arange(len(a))
        if least > -1:
            kept = np.flatnonzero(_correlation(_halved(a), _halved(b), SHIFT // COARSE) >= least - MARGIN)
        result[start + kept] = _correlation(a[kept], b[kept], SHIFT)
    return result


def details(small: np.ndarray) -> np.ndarray:
    """Thumbnails float32 [n, 32, 32] without what changes slowly across them, and without the noise of pixels."""
    from scipy.ndimage import gaussian_filter

    fine, coarse = (gaussian_filter(small, (0, sigma, sigma), mode="nearest") for sigma in (FINE, COARSE_DETAILS))
    return fine - coarse


def log_spectra(small: np.ndarray) -> np.ndarray:
    """Magnitudes of the low frequencies of thumbnails float32 [n, 32, 32], in logarithms: float32 [n, d].

    A shift hardly changes them.
    """
    window = np.hanning(SIDE + 2)[1:-1].astype(np.float32)
    centred = (small - small.mean(axis=(1, 2), keepdims=True)) * window * window[:, None]
    magnitude = np.abs(np.fft.rfft2(centred))[:, np.r_[0:9, SIDE - 8 : SIDE], :9]
    return np.log1p(magnitude).reshape(len(small), -1).astype(np.float32)


def spectra(small: np.ndarray) -> np.ndarray:
    """Low frequencies of thumbnails float32 [n, 32, 32] compared with their mean: float32 [n, d] of norm 1."""
    flat = log_spectra(small)
    flat -= flat.mean(axis=0)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def _halved(small: np.ndarray) -> np.ndarray:
    side = small.shape[1] // COARSE
    return small.reshape(len(small), side, COARSE, side, COARSE).mean(axis=(2, 4))


def _correlation(first: np.ndarray, second: np.ndarray, shift: int) -> np.ndarray:
    """The highest Pearson correlation of the parts that overlap, over all shifts up to `shift` pixels each way.

    Sums of products come from a Fourier transform, sums over the parts from summed-area tables (Lewis, 1995, "Fast
    normalized cross-correlation").
    """
    from scipy.fft import irfft2, rfft2

    side, both = first.shape[1], range(-shift, shift + 1)
    padded = (side + shift + 1, side + shift + 1)
    first = first - first.mean(axis=(1, 2), keepdims=True)  # less cancellation
    second = second - second.mean(axis=(1, 2), keepdims=True)
    products = irfft2(rfft2(first, padded) * np.conj(rfft2(second, padded)), padded)
    products = _last(products[:, both][:, :, both])  # of each shift
    tables = [_summed(_last(values)) for values in (first, first**2, second, second**2)]
    best = np.full(len(first), -1.0)
    for (i, down), (j, across) in itertools.product(enumerate(both), enumerate(both)):
        rows, columns = side - abs(down), side - abs(across)
        here = max(0, down), max(0, across)
        there = max(0, -down), max(0, -across)
        a, aa, b, bb = (_area(table, *corner, rows, columns)
                        for table, corner in zip(tables, (here, here, there, there), strict=True))
        count = rows * columns
        variance = np.maximum(aa - a * a / count, 0) * np.maximum(bb - b * b / count, 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = (products[i, j] - a * b / count) / np.sqrt(variance)
        best = np.maximum(best, np.where(variance > FLAT * count**2, found, -1))
    return best.astype(np.float32)


def _last(values: np.ndarray) -> np.ndarray:
    """The pairs of [n, h, w] on the last axis, so that those of one place lie side by side: float64 [h, w, n]."""
    return np.ascontiguousarray(np.moveaxis(values, 0, 2), np.float64)


def _summed(values: np.ndarray) -> np.ndarray:
    """The sums of all values above and to the left: float64 [h + 1, w + 1, n] from [h, w, n]."""
    height, width, count = values.shape
    table = np.zeros((height + 1, width + 1, count))
    np.cumsum(values.cumsum(axis=0), axis=1, out=table[1:, 1:])
    return table


def _area(table: np.ndarray, top: int, left: int, rows: int, columns: int) -> np.ndarray:
    bottom, right = top + rows, left + columns
    return table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]
