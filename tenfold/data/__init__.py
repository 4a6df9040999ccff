"""Data: labelled images from a name or URI, as `Dataset` values with up to three splits.

A source registers the function that opens it, which takes what stands after the name in the URI:

    @DATASETS.add("digits")
    @source(where=lambda root: "scikit-learn")
    def digits(options: str, access: Access) -> Dataset:
        \"\"\"One line that `tenfold data list` shows.\"\"\"
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold.data.dataset import Dataset, Provenance, Split
from tenfold.data.location import data_root
from tenfold.data.source import Access, Source
from tenfold.errors import UnknownNameError
from tenfold.progress import SILENT, Watcher
from tenfold.registry import DATASETS

__all__ = ["Dataset", "Provenance", "Split", "catalogue", "data_root", "open_dataset"]


def open_dataset(
    uri: str, root: str | Path | None = None, fetch: bool = False, watcher: Watcher = SILENT,
) -> Dataset:
    """The data set that `uri` (`NAME` or `NAME:OPTIONS`) names, with the splits that its source has.

    `root` is the directory to look in (default: `data_root()`), which is written to only if `fetch`
    is true and something has to be downloaded. `watcher` is told of downloads and of decoding.

    Raises UnknownNameError for an unknown name, UsageError for options the source does not take,
    DataError for files that are missing, damaged or do not fit, FetchError for a failed download,
    StorageError where a download can't be written.
    """
    name, _, options = uri.partition(":")
    if name not in DATASETS:
        is_path = any(separator in uri for separator in "/\\")
        raise UnknownNameError("data set", uri if is_path else name, DATASETS.names())
    directory = data_root() if root is None else Path(root).expanduser()
    access = Access(directory, fetch, watcher)
    return _source(name)(options, access)


def catalogue(root: str | Path | None = None) -> dict[str, dict[str, Any]]:
    """For every data set by name: its `description`, and `where` it lies (None: not on this machine).

    Only looks which files there are; `open_dataset` finds out whether they are whole.
    """
    directory = data_root() if root is None else Path(root).expanduser()
    sources = {name: _source(name) for name in DATASETS.names()}
    return {name: {"description": known.description, "where": known.where(directory)}
            for name, known in sources.items()}


def _source(name: str) -> Source:
    found: Any = DATASETS.get(name)
    assert isinstance(found, Source)
    return found
