"""One pass over the pixels of all images: digests, thumbnails, brightness, contrast, sharpness, border colours."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tenfold.data.own.thumbnails import lit, thumbnails
from tenfold.data.view import Images, blocks
from tenfold.machine import threads

RING = 16  # the border is this fraction of a side wide
ENOUGH = 48  # rows and columns that tell brightness and contrast; larger images are sampled
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
    parts, waiting, done = [_look(np.asarray(images[:0]))], blocks(images), 0
    with ThreadPoolExecutor(threads()) as pool:
        while here := list(itertools.islice(waiting, threads())):  # no more in memory than are looked at
            parts += pool.map(_look, here)
            done += sum(map(len, here))
            progress(done)
    return concatenated(parts)


def concatenated(parts: Sequence[Looks]) -> Looks:
    """Looks at several sets of images, one after the other."""
    small, bright, contrast, sharpness, border = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("small", "bright", "contrast", "sharpness", "border"))
    return Looks([digest for part in parts for digest in part.digests], small, bright, contrast, sharpness, border)


def _look(images: np.ndarray) -> Looks:
    rows, channels = np.arange(len(images)), images.shape[3]
    measured = np.zeros((len(images), 3), np.float32)
    border = np.zeros((len(images), 4 * (channels + 1)), np.float32)
    barred = _has_bars(images)
    if not barred.all():
        measured[~barred], border[~barred] = _measure(images[~barred] if barred.any() else images)
    parts: dict[tuple[int, int, int, int], list[int]] = {}  # images by the part between their bars
    for row in np.flatnonzero(barred).tolist():
        parts.setdefault(lit(images[row]), []).append(row)
    for (top, bottom, left, right), members in parts.items():
        measured[members], border[members] = _measure(images[members, top:bottom, left:right])
    digests = [hashlib.blake2b(image, digest_size=16).digest() for image in np.ascontiguousarray(images)]
    small = np.rint(thumbnails(images, rows)).astype(np.uint8)
    return Looks(digests, small, measured[:, 0], measured[:, 1], measured[:, 2], border)


def _has_bars(images: np.ndarray) -> np.ndarray:
    """Whether two opposite edges of each image are black: bool [n]."""
    top, bottom, left, right = (~edge.any(axis=(1, 2)) for edge in (
        images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]))
    return np.asarray((top & bottom) | (left & right))


def _measure(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(brightness, contrast and sharpness float32 [n, 3], border float32 [n, 4 (c + 1)]) of uint8 [n, h, w, c]."""
    step = max(1, min(images.shape[1:3]) // ENOUGH)
    levels = images[:, ::step, ::step].astype(np.float32)
    grey = levels.mean(axis=3).reshape(len(images), -1)
    place = max(0, int(0.99 * grey.shape[1]) - 1)
    bright = np.partition(grey, place, axis=1)[:, place]
    contrast = levels.reshape(len(images), -1, images.shape[3]).std(axis=1).max(axis=1)
    return np.stack([bright, contrast, _sharpness(images, step)], axis=1), _border(images)


def _sharpness(images: np.ndarray, step: int) -> np.ndarray:
    """Second differences relative to first ones, of the middle channel, in every `step`-th row and column."""
    if min(images.shape[1:3]) < 3:
        return np.zeros(len(images), np.float32)
    grey = images[..., images.shape[3] // 2].astype(np.float32)
    across, down = np.diff(grey[:, ::step], axis=2), np.diff(grey[:, :, ::step], axis=1)
    first = _root_mean_square(across) + _root_mean_square(down)
    second = _root_mean_square(np.diff(across, axis=2)) + _root_mean_square(np.diff(down, axis=1))
    return np.where(first > TINY, second / np.maximum(first, TINY), 0).astype(np.float32)


def _root_mean_square(values: np.ndarray) -> np.ndarray:
    """Of each image of [n, h, w]: [n]."""
    flat = values.reshape(len(values), -1)
    return np.sqrt(np.einsum("ij,ij->i", flat, flat) / flat.shape[1])


def _border(images: np.ndarray) -> np.ndarray:
    height, width = (max(1, side // RING) for side in images.shape[1:3])
    edges = images[:, :height], images[:, -height:], images[:, :, :width], images[:, :, -width:]
    found = [np.concatenate([edge.mean(axis=(1, 2)), edge.mean(axis=3).std(axis=(1, 2))[:, np.newaxis]], axis=1)
             for edge in edges]
    return np.concatenate(found, axis=1).astype(np.float32)
