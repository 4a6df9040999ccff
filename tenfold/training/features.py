"""Features of a frozen backbone: computed once per image, cached on disk, read through a memory map.

The file name is a hash of everything that determines the features: the network with its weights, preprocessing
and image size, the precision, the images, and the augmentations of further views. An interrupted computation
continues where it stopped; a finished file is never written again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tenfold.counted import counted
from tenfold.data.dataset import Dataset, Split
from tenfold.data.location import feature_root
from tenfold.errors import UsageError
from tenfold.later import importing_sklearn
from tenfold.models.backbone import BATCH
from tenfold.models.inference import Compute, compiled
from tenfold.progress import Advance, Watcher
from tenfold.recipe import Recipe
from tenfold.registry import AUGMENTATIONS
from tenfold.storage.arrays import StoredArray
from tenfold.training import engine
from tenfold.training.augment import Batch, augmented

if TYPE_CHECKING:
    from sklearn.preprocessing import StandardScaler

BLOCK = 20  # batches between two saves of the progress


@dataclass(frozen=True)
class Features:
    """The features of a split instead of its pixels: `images` float32 [n, d], `labels` int64 [n]."""

    images: np.ndarray
    labels: np.ndarray

    def scaler(self) -> StandardScaler:
        """A scaler fitted to the features block by block, because they may be larger than memory."""
        with importing_sklearn():  # takes longer than a short training
            from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler()
        for start in range(0, len(self.images), BATCH * BLOCK):
            scaler.partial_fit(self.images[start:start + BATCH * BLOCK])
        return scaler


@dataclass(frozen=True)
class FeatureSet:
    """The features of a data set: of its training images (all views) and of its validation images."""

    train: Features
    validation: Features | None


@dataclass(frozen=True)
class View:
    """A version of the images whose features are computed: view 0 is unchanged, further views are augmented.

    The number of a view is the epoch for augmentations that depend on the epoch.
    """

    number: int = 0
    seed: int = 0
    augment: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def dataset_features(network: Any, recipe: Recipe, dataset: Dataset, watcher: Watcher) -> FeatureSet:
    """The features of a prepared data set's training and validation images, read from the cache or added to it.

    `network` is a fast network from pixels to features [n, d]. `train.augmented_copies` adds copies of the training
    images, augmented by `train.augment`. Raises StorageError if the disk has too little space, and
    KeyboardInterrupt when `watcher.stop` returns true.
    """
    key, section = network_key(network), recipe.train
    copies = range(1, 1 + section.augmented_copies)
    views = [View(), *(View(number, section.seed, section.augment) for number in copies)]
    parts = [extract(network, key, dataset.train, view, watcher, dataset.uri) for view in views]
    train = Features(parts[0] if len(parts) == 1 else np.concatenate(parts), np.tile(dataset.train.labels, len(parts)))
    held = dataset.validation
    return FeatureSet(train, None if held is None else Features(
        extract(network, key, held, views[0], watcher, dataset.uri), held.labels))


def check_copies(recipe: Recipe) -> None:
    """Raise UsageError if an augmentation mixes labels; cached copies keep the label of their image."""
    for name, options in recipe.train.augment.items() if recipe.train.augmented_copies else ():
        batch = Batch(torch.zeros(2, 3, 32, 32), torch.zeros(2, dtype=torch.int64), 2, torch.arange(2))
        if AUGMENTATIONS.get(name)(batch, **options).targets is not batch.targets:
            raise UsageError(f"train.augmented_copies: {name} mixes labels, and cached copies keep their label; "
                             f"remove train.augment.{name} or set train.augmented_copies=0")


def extract(network: Any, key: str, split: Split, view: View, watcher: Watcher, uri: str = "") -> np.ndarray:
    """Features of one view of a split: float32 [n, d], a copy-on-write memory map of the cached file.

    `uri` of the data set is only noted beside the file.
    """
    augmentation = (view.number, view.seed, view.augment) if view.number else 0
    name = hashlib.sha256(repr((key, split.fingerprint(), augmentation)).encode()).hexdigest()
    stored = StoredArray(feature_root() / f"{name}.npy", (len(split), network.output_shape[-1]), np.dtype(np.float32),
                         "set TENFOLD_CACHE to another directory", {"uri": uri} if uri else {})

    compute = cache(lambda: compiled(network))  # only if something is left to compute

    def rows(start: int, end: int) -> np.ndarray:
        return batch_features(compute(), split.images[start:end], view, start)

    def waiting() -> None:
        watcher.notice("features: waiting for another process that computes them")

    progress = _report_progress(len(split), watcher)
    return stored.fill(rows, BATCH, BLOCK, waiting=waiting, stop=watcher.stop, progress=progress)


def _report_progress(count: int, watcher: Watcher) -> Callable[[int], None]:
    """A function that passes the number of finished rows to the watcher."""
    started = False

    def progress(done: int) -> None:
        nonlocal started
        if done and not started:
            watcher.notice(f"features: continuing after {done:,} of {counted(count, 'image')}")
        started = True
        watcher.on(Advance("features", done, count, "images"))

    return progress


def network_key(network: Any) -> str:
    """A hash of a network's graph, weights and layer precision, and of the versions of the packages that compute it.

    It ignores `trainable`, so that a probe and fine-tuning share their features.
    """
    numbers = {layer.name: f"layer {i}" for i, layer in enumerate(network.layers)}

    def numbered(value: Any) -> Any:
        """The graph with layers numbered: names generated by Keras depend on what the process built before."""
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


def batch_features(compute: Compute, images: np.ndarray, view: View = View(), start: int = 0) -> np.ndarray:
    """Features of a view of uint8 images [b, height, width, channels] by a compiled network: float32 [b, d].

    `start` is the position of the first image in its split.
    """
    with torch.inference_mode():
        x = engine.pixels(torch.from_numpy(np.require(images, requirements=["C", "W"])))
        if view.augment:
            torch.default_generator.manual_seed(engine.derived_seed(view.seed, view.number, start))
            batch = Batch(x, torch.zeros(len(x), dtype=torch.int64), 2, torch.arange(start, start + len(x)),
                          view.number)
            x = augmented(batch, view.augment).images
        return compute(x).float().numpy()
