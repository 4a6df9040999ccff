"""One pass over the pixels of all images: digests, thumbnails, brightness, contrast, sharpness, border colours."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tenfold.data.own.thumbnails import SIDE, thumbnails, without_bars
from tenfold.data.view import Images, blocks

RING = 16  # the border is this fraction of a side wide
TINY = 1e-3  # a gradient below it has no sharpness


@dataclass(frozen=True)
class Looks:
    """What the pixels of n images tell.

    digests: of shape and pixels, equal for equal images; small: grey thumbnails uint8 [n, 32, 32]; bright: the level
    that 1 % of the pixels exceed, float32 [n], 0 to 255; contrast: the highest standard deviation of the levels of a
    channel, float32 [n];
    sharpness: second derivative relative to the first, float32 [n], 0 for flat images; border: mean colours and
    standard deviations of the four edges, float32 [n, 4 (c + 1)].
    """

    digests: list[bytes]
    small: np.ndarray
    bright: np.ndarray
    contrast: np.ndarray
    sharpness: np.ndarray
    border: np.ndarray

    def __len__(self) -> int:
        return len(self.digests)


def look(images: Images, progress: Callable[[int], None] = lambda done: None) -> Looks:
    """Look at images uint8 [n, h, w, c]. Black bars from padding count neither as dark nor as border."""
    count, channels = len(images), images.shape[3]
    small = np.empty((count, SIDE, SIDE), np.uint8)
    measured, border = np.zeros((count, 3), np.float32), np.zeros((count, 4 * (channels + 1)), np.float32)
    digests: list[bytes] = []
    for block in blocks(images):
        start, rows = len(digests), np.arange(len(block))
        here = slice(start, start + len(block))
        small[here] = np.rint(thumbnails(block, rows))
        digests += [hashlib.blake2b(image, digest_size=16).digest() for image in np.ascontiguousarray(block)]
        barred = _has_bars(block)
        for chosen in ([rows[~barred]] if not barred.all() else []) + [rows[i : i + 1] for i in np.flatnonzero(barred)]:
            part = block[chosen] if not barred[chosen[0]] else without_bars(block[chosen[0]])[np.newaxis]
            measured[start + chosen], border[start + chosen] = _measure(part)
        progress(len(digests))
    return Looks(digests, small, measured[:, 0], measured[:, 1], measured[:, 2], border)


def _has_bars(images: np.ndarray) -> np.ndarray:
    """Whether two opposite edges of each image are black: bool [n]."""
    top, bottom, left, right = (edge.reshape(len(images), -1).max(axis=1, initial=0) == 0 for edge in (
        images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]))
    return (top & bottom) | (left & right)


def _measure(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(brightness, contrast and sharpness float32 [n, 3], border float32 [n, 4 (c + 1)]) of uint8 [n, h, w, c]."""
    levels = images.astype(np.float32)
    grey = levels.mean(axis=3)
    flat = grey.reshape(len(grey), -1)
    place = max(0, int(0.99 * flat.shape[1]) - 1)
    bright = np.partition(flat, place, axis=1)[:, place]
    contrast = levels.std(axis=(1, 2)).max(axis=1)
    return np.stack([bright, contrast, _sharpness(grey)], axis=1), _border(images)


def _sharpness(grey: np.ndarray) -> np.ndarray:
    if min(grey.shape[1:]) < 3:
        return np.zeros(len(grey), np.float32)
    across, down = np.diff(grey, axis=2), np.diff(grey, axis=1)
    first = np.sqrt((across**2).mean(axis=(1, 2)) + (down**2).mean(axis=(1, 2)))
    second = np.sqrt((np.diff(across, axis=2)**2).mean(axis=(1, 2)) + (np.diff(down, axis=1)**2).mean(axis=(1, 2)))
    return np.where(first > TINY, second / np.maximum(first, TINY), 0).astype(np.float32)


def _border(images: np.ndarray) -> np.ndarray:
    height, width = (max(1, side // RING) for side in images.shape[1:3])
    edges = images[:, :height], images[:, -height:], images[:, :, :width], images[:, :, -width:]
    found = [np.concatenate([edge.mean(axis=(1, 2)), edge.mean(axis=3).std(axis=(1, 2))[:, np.newaxis]], axis=1)
             for edge in edges]
    return np.concatenate(found, axis=1).astype(np.float32)
