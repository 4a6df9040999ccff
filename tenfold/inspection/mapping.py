"""A map of all images: two coordinates each, so that images with similar features lie close together.

openTSNE (Poličar et al. 2024) draws it, with equal weights for the 15 nearest neighbours, which gives nearly the same
maps as the usual perplexity of 30 in a fraction of the time (Böhm et al. 2022). Without the package, and for few
images, the map shows the first two principal components. The coordinates are kept beside the features.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tenfold import machine
from tenfold.data.dataset import Dataset
from tenfold.data.location import feature_root
from tenfold.extras import installed
from tenfold.inspection.evidence import BACKBONE, SIDE, SIDE_OF_MANY, backbone_features
from tenfold.progress import Watcher
from tenfold.storage.arrays import StoredArray

Method = Literal["openTSNE", "PCA"]

RULES = 2  # version of the rules by which maps are drawn; raise it when they change
FEWEST = 50  # images from which on openTSNE draws the map
COMPONENTS = 50  # principal components that are compared
TREE = 4000  # images up to which a tree (Barnes & Hut 1986) is faster than a Fourier transform on a grid
NEIGHBOURS = 15
GATHERING, SPREADING = 100, 300  # iterations with and without exaggeration
EXAGGERATION = 12
REPORTED = 20  # iterations between two reports of the progress
TINY = 1e-6


@dataclass(frozen=True)
class ImageMap:
    """Where the images lie: float32 [n, 2], each coordinate from 0 to 1, and the method that placed them."""

    places: np.ndarray
    method: Method


def image_map(dataset: Dataset, watcher: Watcher,
              features: Callable[[Dataset, Watcher], np.ndarray] = backbone_features) -> ImageMap:
    """The map of the images of all splits, one split after the other; from the cache if it was drawn before.

    features: gives float32 [n, d]. Raises ModelFileError if the weights of the backbone are not installed,
    StorageError if the cache can't be written, KeyboardInterrupt when the watcher asks to stop.
    """
    count = sum(map(len, dataset.splits().values()))
    method: Method = "openTSNE" if count >= FEWEST and installed("openTSNE") else "PCA"
    facts = [RULES, method, BACKBONE, SIDE, SIDE_OF_MANY, dataset.fingerprint()]
    name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    stored = StoredArray(feature_root() / f"{name}.npy", (count, 2), np.dtype(np.float32),
                         "set TENFOLD_CACHE to another directory", {"uri": dataset.uri})

    def rows(start: int, end: int) -> np.ndarray:
        components = principal_components(features(dataset, watcher))
        return spread(components if method == "PCA" else _neighbouring(components, watcher))[start:end]

    def waiting() -> None:
        watcher.notice("map: waiting for another process that draws it")

    return ImageMap(stored.fill(rows, max(1, count), waiting=waiting, stop=watcher.stop), method)


def principal_components(features: np.ndarray) -> np.ndarray:
    """Up to 50 principal components, at least 2, of features [n, d] scaled to unit length: float32 [n, m].

    Components without variance are 0.
    """
    from sklearn.decomposition import PCA

    length = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.maximum(length, TINY)
    if len(unit) < 2 or np.ptp(unit, axis=0).max() < TINY:  # nothing sets the images apart
        return np.zeros((len(unit), 2), np.float32)
    solver = "covariance_eigh" if len(unit) > unit.shape[1] else "full"  # of a matrix [d, d], or [n, d]
    found = PCA(min(COMPONENTS, *unit.shape), svd_solver=solver).fit_transform(unit)
    return np.pad(found, ((0, 0), (0, max(0, 2 - found.shape[1])))).astype(np.float32)


def spread(places: np.ndarray) -> np.ndarray:
    """The first two columns of float [n, m], moved and scaled alike to just fit into 0 to 1: float32 [n, 2]."""
    if not len(places):
        return np.zeros((0, 2), np.float32)
    low, high = places[:, :2].min(axis=0), places[:, :2].max(axis=0)
    size = max(float((high - low).max()), TINY)
    return ((places[:, :2] - (low + high) / 2) / size + 0.5).clip(0, 1).astype(np.float32)


def _neighbouring(components: np.ndarray, watcher: Watcher) -> np.ndarray:
    """Coordinates float [n, 2] in which neighbours stay neighbours."""
    from openTSNE import TSNEEmbedding, initialization
    from openTSNE.affinity import Uniform
    from openTSNE.nearest_neighbors import PrecomputedNeighbors
    from sklearn.neighbors import NearestNeighbors

    if not np.ptp(components):
        return components
    threads = machine.threads()
    search = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute", n_jobs=threads).fit(components)
    distances, indices = search.kneighbors()
    affinities = Uniform(knn_index=PrecomputedNeighbors(indices, distances), k_neighbors=NEIGHBOURS, symmetrize="max",
                         n_jobs=threads)
    first = initialization.rescale(components[:, :2].astype(float))
    first = initialization.jitter(first, random_state=0)  # equal images would stay on one spot for ever
    embedding = TSNEEmbedding(first, affinities, negative_gradient_method="fft" if len(first) > TREE else "bh",
                              n_jobs=threads, random_state=0)
    total = GATHERING + SPREADING
    for done in range(0, total, REPORTED):
        watcher.advance("map", done, total, "rounds")
        embedding.optimize(REPORTED, exaggeration=EXAGGERATION if done < GATHERING else None, inplace=True)
    watcher.advance("map", total, total, "rounds")
    return np.asarray(embedding)
