"""Bursts that were found are kept on disk, beside the decoded images: the search takes seconds for 60,000 images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from tenfold.data.images import printable
from tenfold.data.location import image_root
from tenfold.data.own.decoding import Decoded
from tenfold.data.own.listing import Listing
from tenfold.errors import StorageError
from tenfold.storage.arrays import StoredArray

WORTH_KEEPING = 1000  # images from which on the bursts are kept; fewer take no noticeable time

Search = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def kept_bursts(search: Search, rules: int, listing: Listing, decoded: Decoded, rows: np.ndarray) -> np.ndarray:
    """The result of `search`(images, labels, rows), from the cache if these bursts were found before: int64 [m].

    rules: the version of the search; rows: int64 [m], the images of the listing to look at.
    """
    def find() -> np.ndarray:
        return search(decoded.images, listing.labels, rows)

    if len(rows) < WORTH_KEEPING:
        return find()
    chosen = hashlib.sha256(f"{rules}".encode() + rows.tobytes() + listing.labels[rows].tobytes()).hexdigest()[:16]
    stored = StoredArray(image_root() / f"{decoded.key}.bursts-{chosen}.npy", rows.shape, rows.dtype,
                         about={"uri": printable(listing.uri)})
    try:
        return stored.fill(lambda start, end: find(), len(rows))
    except StorageError:  # the cache is read-only or full
        return find()
