"""Data sets kept in a directory, as a run keeps the images that it was given in Python.

Each split is a pair of files, `SPLIT-images.npy` and `SPLIT-labels.npy`, which are memory-mapped when they are opened.
`dataset.json` holds the rest. Directories with the same images share their files as hard links, so that each can be
deleted without the others.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.data.dataset import SPLITS, Dataset, LeftOut, Provenance, Split
from tenfold.data.own.places import existing
from tenfold.data.source import Access, own_files, source
from tenfold.data.view import blocks
from tenfold.errors import DataError, first_line
from tenfold.registry import DATASETS

FACTS = "dataset.json"
GIVEN = "given:"  # starts the URI of a data set that only its run, or Python, can open
SOURCE = "kept"  # starts the URI of a directory
LARGEST = 2 << 30  # bytes of images that are kept


@DATASETS.add(SOURCE)
@source(where=own_files)
def kept(options: str, access: Access) -> Dataset:
    """Images that were given in Python and that a run keeps: `kept:RUN/data`.

    Raises UsageError if there is no such directory, DataError if it is damaged.
    """
    path = existing(options, "kept", is_folder=True)
    return open_kept(path if (path / FACTS).is_file() else path / "data")


def given_uri(dataset: Dataset) -> str:
    """The URI of a data set that has no other: it names the content."""
    return f"{GIVEN}{dataset.fingerprint()[:12]}"


def size(dataset: Dataset | None) -> int:
    """The bytes that the images of a data set take; 0 for None."""
    return 0 if dataset is None else sum(math.prod(split.images.shape) for split in dataset.splits().values())


def same_in(dataset: Dataset, folders: Iterable[Path]) -> Path | None:
    """The first of these directories that holds the data set; damaged and missing ones are passed over."""
    for folder in folders:
        with contextlib.suppress(DataError, OSError, ValueError, LookupError, TypeError):
            claims = json.loads((folder / FACTS).read_text(encoding="utf-8"))["uri"]
            if claims == dataset.uri and open_kept(folder).fingerprint() == dataset.fingerprint():
                return folder
    return None


def write(dataset: Dataset, folder: Path, same: Path | None = None) -> None:
    """Write a data set into an empty directory. Raises OSError.

    same: a directory that holds the data set; its images are shared where the file system allows hard links.
    """
    facts: dict[str, Any] = {
        "name": dataset.name, "uri": dataset.uri, "classes": dataset.classes, "notes": dataset.notes,
        "resize": dataset.resize, "left_out": [asdict(each) for each in dataset.left_out], "splits": {}}
    for name, split in dataset.splits().items():
        file = f"{name}-images.npy"
        if same is None or not _linked(same / file, folder / file):
            _write_images(split, folder / file)
        np.save(folder / f"{name}-labels.npy", split.labels)
        if split.groups is not None:
            np.save(folder / f"{name}-groups.npy", split.groups)
        facts["splits"][name] = {"provenance": asdict(split.provenance), "names": split.names}
    (folder / FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=2), encoding="utf-8", errors="replace")


def _linked(there: Path, here: Path) -> bool:
    """Make a second name for a file; false where that is impossible, as between two disks."""
    try:
        os.link(there, here)
    except OSError:
        return False
    return True


def _write_images(split: Split, path: Path) -> None:
    images = np.lib.format.open_memmap(path, "w+", np.uint8, split.images.shape)
    start = 0
    for block in blocks(split.images):
        images[start : start + len(block)] = block
        start += len(block)
    images.flush()


def open_kept(folder: Path) -> Dataset:
    """The data set that `write` wrote; its images are memory-mapped. Raises DataError if it is damaged."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        splits: dict[str, Any] = {name: _split(folder, name, facts["splits"][name])
                                  for name in SPLITS if name in facts["splits"]}
        return Dataset(facts["name"], facts["uri"], tuple(facts["classes"]), **splits, notes=tuple(facts["notes"]),
                       left_out=tuple(LeftOut(**each) for each in facts["left_out"]), resize=facts["resize"])
    except (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError) as error:
        raise DataError(f"{folder}: the kept images are damaged or missing ({first_line(error)}); expected those that "
                        "`tenfold.train` wrote: give them again as data=") from None


def _split(folder: Path, name: str, facts: Mapping[str, Any]) -> Split:
    def array(what: str) -> np.ndarray:
        return np.load(folder / f"{name}-{what}.npy", mmap_mode="c" if what == "images" else None, allow_pickle=False)

    groups = array("groups") if (folder / f"{name}-groups.npy").is_file() else None
    return Split(array("images"), array("labels"), Provenance(**facts["provenance"]), groups, tuple(facts["names"]))
