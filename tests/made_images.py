"""Small labelled images for the tests of own data: real digits and drawn pictures, in trees and as files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits

from tenfold.data.dataset import Dataset
from tenfold.data.source import Access
from tenfold.recipe import DataSection

Content = bytes | np.ndarray


def digits(count: int = 40, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """The first handwritten digits below `classes`: uint8 [count, 8, 8] and labels int64 [count]."""
    bunch = load_digits()
    chosen = np.flatnonzero(bunch.target < classes)[:count]
    return (bunch.images[chosen] * 255 / 16).astype(np.uint8), bunch.target[chosen].astype(np.int64)


def drawn(number: int, height: int = 24, width: int = 32) -> np.ndarray:
    """A picture in colour, uint8 [height, width, 3]: a few shapes on a ground, other ones for each number."""
    draw = np.random.default_rng(number)

    def colour() -> tuple[int, int, int]:
        return tuple(draw.integers(0, 256, 3).tolist())

    image = Image.new("RGB", (width, height), colour())
    canvas = ImageDraw.Draw(image)
    for kind in (canvas.ellipse, canvas.rectangle, canvas.ellipse):
        left, top = draw.uniform(0, 0.7, 2) * (width, height)
        across, down = draw.uniform(0.2, 0.6, 2) * (width, height)
        kind((left, top, left + across, top + down), fill=colour())
    return np.asarray(image)


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    """The file content of an image uint8 [h, w] or [h, w, 3]."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def plant(root: Path, files: Mapping[str, Content]) -> Path:
    """Write files by their relative paths: arrays as images of the kind that the name says; "name/" is a folder."""
    kinds = Image.registered_extensions()
    for name, content in files.items():
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else encoded(content, kinds[path.suffix.lower()]))
    return root


def digit_tree(count: int = 40, classes: int = 4) -> dict[str, np.ndarray]:
    """Digits as files of a tree: `3/digit-7.png`."""
    images, labels = digits(count, classes)
    return {f"{label}/digit-{i}.png": image for i, (image, label) in enumerate(zip(images, labels, strict=True))}


def access(root: Path, **keys: object) -> Access:
    """Access to own images with the given keys of `[data]`; bursts are not looked for unless it is asked for."""
    return Access(root, fetch=False, section=DataSection(**{"group": None, **keys}))


def by_name(dataset: Dataset) -> dict[str, tuple[str, str]]:
    """Class and split of each image of a data set by its name."""
    return {name: (dataset.classes[label], split) for split, part in dataset.splits().items()
            for name, label in zip(part.names, part.labels.tolist(), strict=True)}


def left_out(dataset: Dataset) -> dict[str, str]:
    """The reasons why files are left out, by name."""
    return {each.name: each.reason for each in dataset.left_out}
