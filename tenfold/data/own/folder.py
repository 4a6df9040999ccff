"""Images in folders: a folder for each class."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from tenfold.data.dataset import Dataset, LeftOut
from tenfold.data.images import printable
from tenfold.data.own.build import own_dataset
from tenfold.data.own.listing import Files, Listing, file_signature
from tenfold.data.own.places import existing, path_name
from tenfold.data.own.tree import arrange, is_hidden
from tenfold.data.source import Access, own_files, source
from tenfold.errors import DataError
from tenfold.registry import DATASETS

DEEPEST = 8  # levels of folders that are searched


@DATASETS.add("folder")
@source(where=own_files)
def folder(options: str, access: Access) -> Dataset:
    """Your own images: `folder:PATH`, a folder for each class, in folders for the splits or not.

    The splits are named train, val, valid or validation, and test; those that do not exist are held out by the recipe.
    Raises UsageError for a missing folder, DataError for a tree that is not of this form.
    """
    return own_dataset(list_folder(existing(options, "folder", is_folder=True), access), access)


def list_folder(path: Path, access: Access) -> Listing:
    """The listing of a folder. Raises DataError."""
    found: dict[str, list[str]] = {kind: [] for kind in ("file", "folder", "broken")}
    for name, kind in _walk(path):
        found[kind].append(name)
    tree = arrange(str(path), found["file"], found["folder"], access.section.allow_empty)
    files = [os.path.join(path, name) for name in tree.names]
    broken = (LeftOut(printable(name), "it is a link that leads to no image") for name in found["broken"])
    return Listing(path_name(path), f"folder:{path}", f"the folder {path}", tree.classes, tree.names, tree.labels,
                   tree.splits, Files(files), file_signature(zip(tree.names, files, strict=True)),
                   (*tree.left_out, *broken), ordered=True)


def _walk(root: Path) -> Iterator[tuple[str, str]]:
    """(relative path with "/", "file", "folder" or "broken") of everything in a folder.

    Hidden folders are not entered: each counts as a file. Links to folders are followed, but not to one that contains
    the link. Raises DataError for an unreadable or too deep folder.
    """
    waiting: list[tuple[Path, str, tuple[str, ...]]] = [(root, "", (os.path.realpath(root),))]
    while waiting:
        directory, prefix, above = waiting.pop()
        try:
            entries = list(os.scandir(directory))
            if not os.access(directory, os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise DataError(f"{directory}: can't be read: {error.strerror}; expected a folder of images") from None
        for entry in entries:
            name = prefix + entry.name
            link = entry.is_symlink()  # known without asking the disk for each file
            if is_hidden(entry.name) or not (os.path.isdir(entry.path) if link else entry.is_dir()):
                there = is_hidden(entry.name) or not link or os.path.exists(entry.path)
                yield name, "file" if there else "broken"
                continue
            real = os.path.realpath(entry.path)
            if real in above:
                yield name, "broken"
                continue
            yield name, "folder"
            if len(above) == DEEPEST:
                raise DataError(f"{directory}: folders are nested more than {DEEPEST} levels deep; expected "
                                "PATH/CLASS/IMAGE or PATH/SPLIT/CLASS/IMAGE")
            waiting.append((Path(entry.path), name + "/", (*above, real)))
