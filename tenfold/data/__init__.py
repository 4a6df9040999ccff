"""Data sets: open labelled images by name or URI, as `Dataset` values with the splits of their source.

A source registers the function that opens it. The function receives the options, the part of the URI after the name:

    @DATASETS.add("digits")
    @source(where=lambda root: "scikit-learn")
    def digits(options: str, access: Access) -> Dataset:
        \"\"\"One line that `tenfold data list` shows.\"\"\"
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from tenfold.data.dataset import Dataset, Provenance, Split
from tenfold.data.images import printable
from tenfold.data.kept import GIVEN
from tenfold.data.kept import SOURCE as KEPT
from tenfold.data.location import data_root
from tenfold.data.own.places import PATHS, absolute, data_name, recognise
from tenfold.data.source import PLAIN, Access, Shape, Source, Visit
from tenfold.errors import DataError, UnknownNameError, UsageError, type_of
from tenfold.progress import SILENT, Watcher
from tenfold.recipe import DataSection
from tenfold.registry import DATASETS
from tenfold.storage.paths import expanded

__all__ = ["Dataset", "Provenance", "Split", "canonical", "catalogue", "data_name", "data_root", "open_dataset"]


def open_dataset(
    uri: str | Path, root: str | Path | None = None, fetch: bool = False, watcher: Watcher = SILENT, *,
    section: DataSection = PLAIN, side: int | None = None, shape: Shape | None = None, visit: Visit | None = None,
    bursts_as_read: bool = False,
) -> Dataset:
    """Open the data set `uri` (`NAME`, `NAME:OPTIONS` or a path), with the splits of its source.

    `root` is the directory with the data sets (default: `data_root()`). It is written only if `fetch` is true and a
    download is necessary. `watcher` receives the progress of downloads and of decoding. For own images, `section` says
    how they are read, `side` is the height and width that the model asks for, `shape` overrides both, and `visit`
    receives headers and sizes of the image files by name; bursts_as_read: see `Access`.

    Raises UnknownNameError for an unknown name, UsageError for invalid options, DataError for missing, damaged or
    unsuitable files, FetchError for a failed download, StorageError if a download can't be written.
    """
    if not isinstance(uri, str | Path):
        raise UsageError(f"data set: received {type_of(uri)}; expected its name, URI or path")
    uri = str(uri)
    if uri.startswith(GIVEN):
        raise DataError(f"data set {uri}: it was given in Python; expected the directory of a run that keeps it, as in "
                        "--data runs/NAME-1/data, or the images themselves as data= in Python")
    name, _, options = canonical(uri, online=fetch).partition(":")
    directory = data_root() if root is None else expanded(root)
    return _source(name)(options, Access(directory, fetch, watcher, section, side, shape, visit, bursts_as_read))


def canonical(uri: str, online: bool = True) -> str:
    """The URI with its kind and an absolute path, or with a fixed version: "photos/" becomes "folder:/home/me/photos".

    A name of a data set wins over a path of that name. `online`: the network may be asked for the version. Raises
    UnknownNameError if it is neither, UsageError for a file of an unknown kind, and the errors of the source's `pin`.
    """
    if uri.startswith(GIVEN):
        return uri
    name, colon, options = uri.partition(":")
    if name in DATASETS:
        return absolute(f"{name}:{_source(name).pin(options, online)}" if colon else uri)
    found = recognise(uri)
    if found is None:
        if any(separator in uri for separator in "/\\") or Path(uri).suffix:
            raise UsageError(f"data set {printable(uri)}: no such file or folder; expected a path, or one of: "
                             f"{', '.join(_offered())}")
        here = (entry.name for entry in itertools.islice(Path().iterdir(), 1000))
        raise UnknownNameError("file, folder or data set", name, _offered(),
                               [*(each for each in _offered() if each not in PATHS), *here])
    return found


def catalogue(root: str | Path | None = None) -> dict[str, dict[str, Any]]:
    """The `description`, location (`where`; None: not on this machine) and `options` of every data set, by name.

    The options are name → {"default", "expected", "meaning"}.

    Checks only which files exist; `open_dataset` checks their content.
    """
    directory = data_root() if root is None else expanded(root)
    sources = {name: _source(name) for name in _offered()}
    return {name: {"description": known.description, "where": known.where(directory),
                   "options": {key: {"default": option.default, "expected": option.describe(),
                                     "meaning": option.meaning} for key, option in known.options.items()}}
            for name, known in sources.items()}


def _offered() -> list[str]:
    """The names of all data sets but `kept`: those images are opened by the path of their run."""
    return [name for name in DATASETS.names() if name != KEPT]


def _source(name: str) -> Source:
    found: Any = DATASETS.get(name)
    assert isinstance(found, Source)
    return found
