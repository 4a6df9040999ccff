"""Features of a frozen backbone: computed once per image, kept on disk, mapped into memory.

The file's name is the hash of all that the features depend on: the network and its weights (preprocessing
and image size among them), the precision, the images, the augmentations of further views. An interrupted
computation goes on where it stopped; a finished file is never written again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler

from tenfold.data.dataset import Dataset, Split
from tenfold.data.location import feature_root
from tenfold.errors import UsageError
from tenfold.models.backbone import BATCH
from tenfold.progress import Advance, Watcher
from tenfold.recipe import Recipe
from tenfold.registry import AUGMENTATIONS
from tenfold.storage.arrays import StoredArray
from tenfold.training import engine
from tenfold.training.augment import Batch, augmented

BLOCK = 20  # batches between two notes of how far it has come


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


def of_dataset(network: Any, recipe: Recipe, dataset: Dataset, watcher: Watcher) -> FeatureSet:
    """The features of a prepared data set's training and validation images, from the cache or into it.

    `network` is a fast network from pixels to features [n, d]. Augmented copies (`train.augmented_copies`) are of
    the training images alone, augmented as `train.augment` says. Raises StorageError if the disk has no room,
    KeyboardInterrupt once `watcher.stop` returns true.
    """
    key, section = _network_key(network), recipe.train
    copies = range(1, 1 + section.augmented_copies)
    views = [View(), *(View(number, section.seed, section.augment) for number in copies)]
    parts = [extract(network, key, dataset.train, view, watcher) for view in views]
    train = Features(parts[0] if len(parts) == 1 else np.concatenate(parts), np.tile(dataset.train.labels, len(parts)))
    held = dataset.validation
    return FeatureSet(train, None if held is None else Features(
        extract(network, key, held, views[0], watcher), held.labels))


def check_copies(recipe: Recipe) -> None:
    """Raise UsageError if an augmentation mixes labels, which cached copies can't."""
    for name, options in recipe.train.augment.items() if recipe.train.augmented_copies else ():
        batch = Batch(torch.zeros(2, 3, 32, 32), torch.zeros(2, dtype=torch.int64), 2, torch.arange(2))
        if AUGMENTATIONS.get(name)(batch, **options).targets is not batch.targets:
            raise UsageError(f"train.augmented_copies: {name} mixes labels, which cached copies can't; leave out "
                             f"train.augment.{name} or set train.augmented_copies=0")


def extract(network: Any, key: str, split: Split, view: View, watcher: Watcher) -> np.ndarray:
    """Features of one view of a split: float32 [n, d], a copy-on-write memory map of the cache's file."""
    drawn = (view.number, view.seed, view.augment) if view.number else 0
    name = hashlib.sha256(repr((key, split.fingerprint(), drawn)).encode()).hexdigest()
    stored = StoredArray(feature_root() / f"{name}.npy", (len(split), network.output_shape[-1]), np.dtype(np.float32),
                         "set TENFOLD_CACHE to another directory")

    def rows(start: int, end: int) -> np.ndarray:
        return of_batch(network, split.images[start:end], view, start)

    def waiting() -> None:
        watcher.notice("features: another process computes them; waiting")

    return stored.fill(rows, BATCH, BLOCK, waiting=waiting, stop=watcher.stop, progress=_told(len(split), watcher))


def _told(count: int, watcher: Watcher) -> Callable[[int], None]:
    """A progress function for the rows that are done, which tells the watcher."""
    begun = False

    def progress(done: int) -> None:
        nonlocal begun
        if done and not begun:
            watcher.notice(f"features: going on after {done:,} of {count:,} images")
        begun = True
        watcher.on(Advance("features", done, count, "images"))

    return progress


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


def of_batch(network: Any, images: np.ndarray, view: View = View(), start: int = 0) -> np.ndarray:
    """Features of a view of uint8 images [b, height, width, channels] in inference mode: float32 [b, d].

    `start` is the place of the first of them in its split.
    """
    with torch.inference_mode():
        x = engine.pixels(torch.from_numpy(np.require(images, requirements=["C", "W"])))
        if view.augment:
            torch.default_generator.manual_seed(engine.derived_seed(view.seed, view.number, start))
            batch = Batch(x, torch.zeros(len(x), dtype=torch.int64), 2, torch.arange(start, start + len(x)),
                          view.number)
            x = augmented(batch, view.augment).images
        return network(x, training=False).float().numpy()
