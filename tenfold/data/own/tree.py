"""The layout of a tree of images: a folder for each class, with or without folders for the splits above them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tenfold.counted import are, counted
from tenfold.data.dataset import LeftOut
from tenfold.data.images import SUFFIXES, printable
from tenfold.data.own.listing import ROLES, class_names, natural, some
from tenfold.errors import DataError

SYSTEM = ("__macosx", "thumbs.db", "desktop.ini", "@eadir")  # made by operating systems, not by people
EXPECTED = "expected PATH/CLASS/IMAGE or PATH/SPLIT/CLASS/IMAGE, with the splits train, validation and test"


@dataclass(frozen=True)
class Tree:
    """The images of a tree in natural order of their paths, with class and split of each."""

    names: Sequence[str]
    classes: tuple[str, ...]
    labels: np.ndarray
    splits: np.ndarray
    left_out: tuple[LeftOut, ...]


def arrange(where: str, files: Iterable[str], folders: Iterable[str], allow_empty: bool) -> Tree:
    """Find classes and splits in the relative paths (with "/") of files and folders.

    Hidden files, files of the operating system and files that are no images are left out. Folders that hold
    everything else are skipped, as archives often have one. Raises DataError for a tree without images, without class
    folders, with fewer than two classes, with folders below the classes, or with an empty class (unless
    `allow_empty`).
    """
    images, left_out = _images(files)
    if not images:
        raise DataError(f"{where}: received no images; expected files ending in {', '.join(SUFFIXES)}, in a folder for "
                        "each class")
    parts = [tuple(name.split("/")) for name in images]
    above = _wrapping(parts)
    inside = [part[above:] for part in parts]
    with_splits = _has_splits(inside)
    depth = 3 if with_splits else 2
    stray = [name for name, part in zip(images, inside, strict=True) if len(part) < depth]
    if len(stray) == len(images):
        raise DataError(f"{where}: the images are in no class folder (such as {some(stray[:1])}); {EXPECTED}")
    deep = [name for name, part in zip(images, inside, strict=True) if len(part) > depth]
    if deep:
        raise DataError(f"{where}: {counted(len(deep), 'image')} {are(len(deep))} in folders below the class folders "
                        f"({some(deep)}); {EXPECTED}: move them up, or name each with its class in a CSV table")
    left_out += [LeftOut(printable(name), "it is in no class folder") for name in stray]
    kept = [i for i, part in enumerate(inside) if len(part) == depth]
    found = [inside[i][-2] for i in kept]
    empty = _empty_classes(folders, above, depth, set(found))
    if empty and not allow_empty:
        raise DataError(f"{where}: {len(empty):,} class {'folder holds' if len(empty) == 1 else 'folders hold'} no "
                        f"images: {some(empty)}; add images, remove the folder, or set data.allow_empty=true")
    classes = class_names([*found, *empty], where)
    index = {name: i for i, name in enumerate(classes)}
    labels = np.array([index[name] for name in found], np.int64)
    splits = np.array([ROLES[inside[i][0].lower()] if with_splits else "train" for i in kept])
    return Tree([images[i] for i in kept], classes, labels, splits, tuple(left_out))


def _images(files: Iterable[str]) -> tuple[list[str], list[LeftOut]]:
    """(names of images in natural order, files that are left out)."""
    images, left_out, hidden = [], [], set()
    for name in sorted(files, key=natural):
        parts = name.split("/")
        veiled = next((i for i, part in enumerate(parts) if is_hidden(part)), None)
        if veiled is not None:
            outer = "/".join(parts[: veiled + 1])
            if outer not in hidden:
                hidden.add(outer)
                left_out.append(LeftOut(printable(outer), "it is hidden or belongs to the operating system"))
        elif posixpath.splitext(name)[1].lower() not in SUFFIXES:
            phone = name.lower().endswith((".heic", ".heif"))
            left_out.append(LeftOut(printable(name), "HEIC photos can't be read; save them as JPEG" if phone else
                                    "it is no image, by its name"))
        else:
            images.append(name)
    return images, left_out


def is_hidden(part: str) -> bool:
    """Whether a file or folder of that name is hidden or made by an operating system."""
    return part.startswith(".") or part.lower() in SYSTEM


def _wrapping(parts: Sequence[tuple[str, ...]]) -> int:
    """The number of outer folders that hold everything, each the only folder of its level and no split."""
    above = 0
    while min(len(part) for part in parts) - above >= 3 and len({part[above] for part in parts}) == 1 \
            and parts[0][above].lower() not in ROLES:
        above += 1
    return above


def _has_splits(parts: Sequence[tuple[str, ...]]) -> bool:
    """Whether the outer folders are splits: "train" may also be a class, whose images lie directly in it."""
    nested = [part for part in parts if len(part) >= 3]
    return bool(nested) and all(part[0].lower() in ROLES for part in nested) and not any(
        len(part) == 2 and part[0].lower() not in ROLES for part in parts)


def _empty_classes(folders: Iterable[str], above: int, depth: int, found: set[str]) -> list[str]:
    """Folders at the level of the classes that hold no image in any split."""
    empty = set()
    for folder in folders:
        parts = folder.split("/")[above:]
        if len(parts) == depth - 1 and not any(map(is_hidden, parts)) and parts[-1] not in found \
                and (depth == 2 or parts[0].lower() in ROLES):
            empty.add(parts[-1])
    return sorted(empty, key=natural)
