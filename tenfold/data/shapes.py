"""Shapes: a generated data set of adjustable difficulty.

A shape is a signed distance function in its own coordinates, where it fills roughly the unit circle. Its edge is the
zero line, blended over one pixel. Position, size, rotation, deformation, colours and clutter are random for each
image; `difficulty` widens their ranges and lowers the contrast.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tenfold.data.dataset import Dataset, Provenance, Split
from tenfold.data.options import Option, parse_options
from tenfold.data.source import Access, source
from tenfold.registry import DATASETS

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]

OPTIONS = {
    "difficulty": Option(0.5, 0, 1, "how varied the shapes are and how low their contrast"),
    "seed": Option(0, 0, 2**32 - 1, "seed of the drawing"),
    "train": Option(5000, 20, 1_000_000, "number of training images"),
    "test": Option(1000, 10, 1_000_000, "number of test images"),
    "size": Option(32, 8, 256, "height and width in pixels"),
}
BLOBS = 4  # most pieces of clutter in an image
CHUNK_PIXELS = 1 << 19  # pixels drawn at a time


@DATASETS.add("shapes")
@source(where=lambda root: "generated on demand", options=OPTIONS)
def shapes(options: str, access: Access) -> Dataset:
    """Shapes: generated RGB images in ten classes, of adjustable difficulty.

    The defaults are `shapes:difficulty=0.5,seed=0,train=5000,test=1000,size=32`. The same options give the same
    images. Train and test come from independent random streams, and the classes are balanced. Raises UsageError with
    all errors in the options.
    """
    chosen = parse_options("shapes", options, OPTIONS)
    difficulty, size, seed = float(chosen["difficulty"]), int(chosen["size"]), int(chosen["seed"])
    splits = {}
    for stream, name in enumerate(("train", "test")):
        images, labels = draw(int(chosen[name]), size, difficulty, np.random.default_rng([seed, stream]))
        splits[name] = Split(images, labels, Provenance(f"drawn, seed {seed}, difficulty {difficulty:g}"))
    uri = "shapes:" + ",".join(f"{key}={value:g}" if key == "difficulty" else f"{key}={value}"
                               for key, value in chosen.items())
    return Dataset("shapes", uri, tuple(SHAPES), train=splits["train"], test=splits["test"])


def draw(count: int, size: int, difficulty: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` images: uint8 [count, size, size, 3] and labels int64 [count], with balanced classes."""
    labels = rng.permutation(np.arange(count, dtype=np.int64) % len(SHAPES))
    scene = _Scene(count, rng)
    images = np.empty((count, size, size, 3), np.uint8)
    step = max(1, CHUNK_PIXELS // (size * size))
    for label, distance in enumerate(SHAPES.values()):
        members = np.flatnonzero(labels == label)
        for start in range(0, len(members), step):
            chosen = members[start : start + step]
            noise = rng.random((2, len(chosen), size, size, 3), dtype=np.float32)
            images[chosen] = scene.render(chosen, distance, size, difficulty, noise[0] - noise[1])
    return images, labels


class _Scene:
    """The random numbers of `count` images, each uniform from 0 to 1; draws the images from them."""

    def __init__(self, count: int, rng: np.random.Generator) -> None:
        def uniform(*shape: int) -> np.ndarray:
            return rng.random((count, *shape), dtype=np.float32)

        self.centre, self.scale, self.turn = uniform(2), uniform(), uniform()
        self.stretch, self.shear, self.wave, self.phase = uniform(), uniform(), uniform(2), uniform(2)
        self.ground, self.tint, self.slope = uniform(3), uniform(3), uniform(2)
        self.blobs, self.blob_colour = uniform(BLOBS, 6), uniform(BLOBS, 3)

    def render(
        self, chosen: np.ndarray, distance: Distance, size: int, difficulty: float, noise: np.ndarray
    ) -> np.ndarray:
        """Draw the images `chosen` (int [m]), all with the same kind of shape: uint8 [m, size, size, 3].

        `noise` is float32 [m, size, size, 3], triangularly distributed from -1 to 1.
        """
        axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / size) - 1
        y, x = np.broadcast_arrays(axis[None, :, None], axis[None, None, :])
        ground, ink = self._colours(chosen, difficulty)
        slope = (self.slope[chosen] - 0.5) * (110 * difficulty)
        shade = _column(slope[:, 0]) * x + _column(slope[:, 1]) * y
        picture = ground[:, None, None, :] + shade[..., None]
        clutter = int(np.ceil(BLOBS * difficulty))
        for i in range(clutter):
            self._blob(picture, chosen, i, x, y, difficulty, on_top=False)
        u, v, unit = self._coordinates(chosen, x, y, difficulty)
        cover = np.clip(0.5 - distance(u, v) * unit * (size / 2), 0, 1)[..., None]
        picture += cover * (ink[:, None, None, :] - picture)
        for i in range(clutter // 2):
            self._blob(picture, chosen, i, -x, y, difficulty, on_top=True)
        picture += noise * np.float32(6 + 50 * difficulty)
        return np.clip(np.rint(picture), 0, 255).astype(np.uint8)

    def _colours(self, chosen: np.ndarray, difficulty: float) -> tuple[np.ndarray, np.ndarray]:
        """Background and shape colours, two float [m, 3]: low difficulty gives high contrast."""
        ground = 40 + 175 * self.ground[chosen]
        away = np.where(ground.mean(axis=1, keepdims=True) > 127.5, -1, 1)
        contrast = 130 - 65 * difficulty
        return ground, np.clip(ground + away * contrast * (0.6 + 0.8 * self.tint[chosen]), 0, 255)

    def _coordinates(
        self, chosen: np.ndarray, x: np.ndarray, y: np.ndarray, difficulty: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The pixels in each shape's own coordinates, two [m, size, size], and its unit in half image widths."""
        centre = (self.centre[chosen] - 0.5) * (0.2 + 0.6 * difficulty)
        unit = _column(0.66 - (0.05 + 0.2 * difficulty) * self.scale[chosen])
        angle = (self.turn[chosen] - 0.5) * np.float32(2 * np.pi * (0.03 + 0.97 * difficulty))
        x, y = (x - _column(centre[:, 0])) / unit, (y - _column(centre[:, 1])) / unit
        cosine, sine = _column(np.cos(angle)), _column(np.sin(angle))
        u, v = cosine * x + sine * y, cosine * y - sine * x
        stretch = _column(1 + 0.5 * difficulty * (self.stretch[chosen] - 0.5))
        u, v = u * stretch + v * _column(0.6 * difficulty * (self.shear[chosen] - 0.5)), v / stretch
        wave, phase = self.wave[chosen] * (0.2 * difficulty), self.phase[chosen] * np.float32(2 * np.pi)
        bent_u = u + _column(wave[:, 0]) * np.sin(3 * v + _column(phase[:, 0]))
        bent_v = v + _column(wave[:, 1]) * np.sin(3 * u + _column(phase[:, 1]))
        return bent_u, bent_v, unit

    def _blob(
        self, picture: np.ndarray, chosen: np.ndarray, i: int, x: np.ndarray, y: np.ndarray,
        difficulty: float, on_top: bool,
    ) -> None:
        """Blend a spot or bar of another colour into those images of `picture` that have an `i`-th one."""
        place, colour = self.blobs[chosen, i], self.blob_colour[chosen, i]
        dx, dy = x - _column(2.2 * place[:, 0] - 1.1), y - _column(2.2 * place[:, 1] - 1.1)
        angle = place[:, 2] * np.float32(np.pi)
        along = _column(np.cos(angle)) * dx + _column(np.sin(angle)) * dy
        across = _column(np.cos(angle)) * dy - _column(np.sin(angle)) * dx
        long, wide = (0.35, 0.05) if on_top else (0.45, 0.12)
        half = np.array([long, wide]) * (0.4 + place[:, 3:5])
        edge = np.maximum(abs(along) - _column(half[:, 0]), abs(across) - _column(half[:, 1]))
        present = _column(place[:, 5] < 0.25 + 0.75 * difficulty)
        cover = np.clip(0.5 - edge * (picture.shape[1] / 2), 0, 1) * present
        cover *= np.float32(0.3 + 0.5 * difficulty)
        picture += cover[..., None] * ((255 * colour)[:, None, None, :] - picture)


def _column(values: np.ndarray) -> np.ndarray:
    """Reshape [m] to [m, 1, 1], to broadcast with [m, size, size]."""
    return values.astype(np.float32)[:, None, None]


# ----------------------------------------------------------------------------------------------------
# signed distances: negative inside, positive outside, zero on the edge


def _radius(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.sqrt(u * u + v * v)


def _sides(u: np.ndarray, v: np.ndarray, count: int, height: float) -> np.ndarray:
    """Distances to the sides of a regular polygon, [count, m, size, size]; `height` is from centre to side."""
    turns = 2 * np.pi * np.arange(count) / count
    return np.stack([np.float32(np.sin(t)) * u - np.float32(np.cos(t)) * v - height for t in turns])


def _box(u: np.ndarray, v: np.ndarray, width: float, height: float) -> np.ndarray:
    return np.maximum(abs(u) - width, abs(v) - height)


def _bands(u: np.ndarray, period: float) -> np.ndarray:
    """Parallel bands; half of each `period` is inside."""
    return (abs(u / period - np.floor(u / period) - 0.5) - 0.25) * period


def _star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    # A pentagram is where at most one of the five sides is crossed.
    return np.sort(_sides(u, -v, 5, 0.34), axis=0)[-2]


def _checker(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    across, down = _bands(u, 0.9), _bands(v, 0.9)
    return np.maximum(np.maximum(np.minimum(across, down), -np.maximum(across, down)), _radius(u, v) - 1)


SHAPES: dict[str, Distance] = {
    "circle": lambda u, v: _radius(u, v) - 0.85,
    "ring": lambda u, v: abs(_radius(u, v) - 0.75) - 0.22,
    "square": lambda u, v: _box(u, v, 0.78, 0.78),
    "triangle": lambda u, v: _sides(u, -v, 3, 0.5).max(axis=0),
    "cross": lambda u, v: np.minimum(_box(u, v, 1, 0.3), _box(u, v, 0.3, 1)),
    "star": _star,
    "hexagon": lambda u, v: _sides(u, v, 6, 0.8).max(axis=0),
    "crescent": lambda u, v: np.maximum(_radius(u, v) - 1, 0.8 - _radius(u - 0.5, v)),
    "stripes": lambda u, v: np.maximum(_radius(u, v) - 1, _bands(v, 0.6)),
    "checker": _checker,
}
