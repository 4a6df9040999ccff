"""[E] Features of a frozen backbone: computed once per image, kept on disk, mapped into memory.

The file's name is the hash of all that the features depend on: the network and its weights (preprocessing
and image size among them), the precision, the images, the augmentations of further views. An interrupted
computation goes on where it stopped; a finished file is never written again.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler

from tenfold.data.dataset import Dataset, Split
from tenfold.data.location import feature_root
from tenfold.data.lock import locked
from tenfold.errors import StorageError, UsageError
from tenfold.models.backbone import BATCH
from tenfold.recipe import Recipe
from tenfold.registry import AUGMENTATIONS
from tenfold.run import write_whole
from tenfold.training import engine
from tenfold.training.augment import Batch, augmented
from tenfold.training.loop import Hooks

BLOCK = 20  # batches between two notes of how far it has come
SPARE = 64 << 20  # bytes of the disk that are left free


@dataclass(frozen=True)
class Features:
    """In place of a split's pixels: `images` float32 [n, d], `labels` int64 [n]."""

    images: np.ndarray
    labels: np.ndarray

    def scaler(self) -> StandardScaler:
        """Fitted to mean and deviation of each feature, a block at a time: the features may be larger than memory."""
        found = StandardScaler()
        for start in range(0, len(self.images), BATCH * BLOCK):
            found.partial_fit(self.images[start:start + BATCH * BLOCK])
        return found


@dataclass(frozen=True)
class FeatureSet:
    """In place of a data set: features of its training images (all views) and of its validation images."""

    train: Features
    validation: Features | None


@dataclass(frozen=True)
class View:
    """What is done to images before their features are computed: the first view (0) is the images as they are.

    Each further one is an epoch of its own to augmentations that change with the epoch.
    """

    number: int = 0
    seed: int = 0
    augment: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def of_dataset(network: Any, recipe: Recipe, dataset: Dataset, hooks: Hooks) -> FeatureSet:
    """The features of a prepared data set's training and validation images, from the cache or into it.

    `network` is a fast network from pixels to features [n, d]. Augmented copies (`train.augmented_copies`) are of
    the training images alone, augmented as `train.augment` says. Raises StorageError if the disk has no room,
    KeyboardInterrupt once `hooks.stop` returns true.
    """
    key, section = _network_key(network), recipe.train
    copies = range(1, 1 + section.augmented_copies)
    views = [View(), *(View(number, section.seed, section.augment) for number in copies)]
    parts = [extract(network, key, dataset.train, view, hooks) for view in views]
    train = Features(parts[0] if len(parts) == 1 else np.concatenate(parts), np.tile(dataset.train.labels, len(parts)))
    held = dataset.validation
    return FeatureSet(train, None if held is None else Features(
        extract(network, key, held, views[0], hooks), held.labels))


def check_copies(recipe: Recipe) -> None:
    """Raise UsageError if an augmentation mixes labels, which cached copies can't."""
    for name, options in recipe.train.augment.items() if recipe.train.augmented_copies else ():
        batch = Batch(torch.zeros(2, 3, 32, 32), torch.zeros(2, dtype=torch.int64), 2, torch.arange(2))
        if AUGMENTATIONS.get(name)(batch, **options).targets is not batch.targets:
            raise UsageError(f"train.augmented_copies: {name} mixes labels, which cached copies can't; leave out "
                             f"train.augment.{name} or set train.augmented_copies=0")


def extract(network: Any, key: str, split: Split, view: View, hooks: Hooks) -> np.ndarray:
    """Features of one view of a split: float32 [n, d], a copy-on-write memory map of the cache's file."""
    drawn = (view.number, view.seed, view.augment) if view.number else 0
    name = hashlib.sha256(repr((key, split.fingerprint(), drawn)).encode()).hexdigest()
    path = feature_root() / f"{name}.npy"
    shape = (len(split), network.output_shape[-1])
    try:
        found = _finished(path, shape)
        if found is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with locked(path, lambda: hooks.log("features: another process computes them; waiting"), hooks.stop):
                if _finished(path, shape) is None:
                    _compute(network, split.images, path, shape, view, hooks)
            found = np.load(path, mmap_mode="c")
        return found
    except OSError as error:
        raise StorageError(f"{path}: features can't be kept there: {error.strerror or error}; make room or set "
                           "TENFOLD_CACHE to another directory") from None


def _finished(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """The features that a file holds; None if it is missing, truncated or of another shape."""
    try:
        found = np.lib.format.open_memmap(path, "c")
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return found if found.shape == shape and found.dtype == np.float32 else None


def _network_key(network: Any) -> str:
    """What a network computes: its graph, its weights, the precision of its layers, in these versions.

    Whether a layer is trained later changes nothing, so a probe and a fine-tuning share their features.
    """
    numbers = {layer.name: f"layer {i}" for i, layer in enumerate(network.layers)}

    def numbered(value: Any) -> Any:
        """The graph without names: Keras counts those it makes up through the life of a process."""
        if isinstance(value, dict):
            return {key: numbered(item) for key, item in value.items() if key not in ("shared_object_id", "trainable")}
        if isinstance(value, (list, tuple)):
            return [numbered(item) for item in value]
        return numbers.get(value, value) if isinstance(value, str) else value

    versions = [importlib.metadata.version(name) for name in ("tenfold", "keras", "torch")]
    digest = hashlib.sha256(json.dumps([versions, numbered(json.loads(network.to_json()))]).encode())
    for value in network.get_weights():
        digest.update(np.ascontiguousarray(value).data)
    return digest.hexdigest()


def _compute(network: Any, images: np.ndarray, path: Path, shape: tuple[int, int], view: View, hooks: Hooks) -> None:
    """Fill `path` by way of a `.part` beside it, of which `.rows` says how much is done."""
    part, rows = path.with_suffix(".part"), path.with_suffix(".rows")
    done = _rows_done(part, rows, shape)
    if not done:  # the rows of an older part are none of a new one
        rows.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
    need, free = 4 * shape[0] * shape[1] - _allocated(part), shutil.disk_usage(path.parent).free
    if free < need + SPARE and need > 0:
        raise StorageError(f"{path.parent}: features of {shape[0] - done:,} images take {need:,} bytes, and {free:,} "
                           "are free; make room or set TENFOLD_CACHE to another directory")
    out = np.lib.format.open_memmap(part, "r+" if done else "w+", np.float32, None if done else shape)
    try:
        _reserve(part)
    except OSError:
        if not done:
            part.unlink()
        raise
    if done:
        hooks.log(f"features: going on after {done:,} of {shape[0]:,} images")
    started, told, first = time.perf_counter(), time.perf_counter(), done
    for start in range(done, shape[0], BATCH):
        out[start:start + BATCH] = of_batch(network, images[start:start + BATCH], view, start)
        done = min(start + BATCH, shape[0])
        now = time.perf_counter()
        stopping = hooks.stop()
        if stopping or (start // BATCH) % BLOCK == BLOCK - 1:
            out.flush()
            write_whole(rows, json.dumps({"rows": done}))
        if now - told > 10 or done == shape[0]:
            told = now
            hooks.log(f"features: {done:,} of {shape[0]:,} images, {(done - first) / (now - started):,.0f}/s")
        if stopping:
            raise KeyboardInterrupt
    out.flush()
    del out
    part.replace(path)
    rows.unlink(missing_ok=True)


def _allocated(path: Path) -> int:
    """The bytes of the disk that a file holds already: fewer than its size where it has holes."""
    if not path.exists():
        return 0
    status = path.stat()
    return min(status.st_size, 512 * getattr(status, "st_blocks", status.st_size))


def _reserve(path: Path) -> None:
    """Fill the holes of a file that is written through memory: a full disk is an OSError here, and a crash there."""
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # what a disk says that can't
                raise


def _rows_done(part: Path, rows: Path, shape: tuple[int, int]) -> int:
    """How many images an interrupted computation has finished; 0 if what it left is not whole."""
    try:
        done = int(json.loads(rows.read_text())["rows"])
        return done if np.load(part, mmap_mode="r").shape == shape and 0 <= done <= shape[0] else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def of_batch(network: Any, images: np.ndarray, view: View = View(), start: int = 0) -> np.ndarray:
    """Features of a view of uint8 images [b, height, width, channels] in inference mode: float32 [b, d].

    `start` is the place of the first of them in its split.
    """
    with torch.inference_mode():
        x = engine.pixels(torch.from_numpy(np.ascontiguousarray(images)))
        if view.augment:
            torch.default_generator.manual_seed(engine.derived_seed(view.seed, view.number, start))
            batch = Batch(x, torch.zeros(len(x), dtype=torch.int64), 2, torch.arange(start, start + len(x)),
                          view.number)
            x = augmented(batch, view.augment).images
        return network(x, training=False).float().numpy()
