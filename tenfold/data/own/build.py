"""From a listing to a data set: choose the size, decode, leave out what can't be read, find groups, make the splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np

from tenfold.counted import counted
from tenfold.data.dataset import SPLITS, Dataset, LeftOut, Provenance, Split
from tenfold.data.images import printable
from tenfold.data.own.decoding import Coloured, Decoded, Look, decode, look
from tenfold.data.own.groups import find_groups
from tenfold.data.own.headers import read_headers
from tenfold.data.own.listing import Arrays, Listing, natural, some
from tenfold.data.source import Access, Shape
from tenfold.data.view import View
from tenfold.errors import DataError
from tenfold.progress import Watcher
from tenfold.recipe.sections import Resize

SIDE = 64  # height and width of own images unless the recipe asks for another
SMALLEST = 8
STANDARD: Resize = "pad"  # the way of resizing to the standard size


def own_dataset(listing: Listing, access: Access) -> Dataset:
    """The data set of a listing. The images of a split are sorted by class, then by the natural order of their names.

    So the same images have the same fingerprint, whether a folder or a table lists them. Raises DataError if no image
    or only one class can be read, StorageError if the cache can't be written.
    """
    section, watcher = access.section, access.watcher
    seen = look(listing)
    shape = access.shape or _shape(listing, seen, access)
    decoded = _decoded(listing, shape, section.resize, watcher, only_grey=access.shape is None and shape[2] == 1)
    shape = _shape_of(decoded)
    if access.visit is not None:
        access.visit(read_headers(listing, decoded, watcher))
    left_out = (*listing.left_out, *(decoded.unread[number] for number in sorted(decoded.unread)))
    notes = [*_notes(listing, seen, shape, access, left_out), *_alike(listing.classes)]
    for note in notes:
        watcher.notice(note)
    order = _order(listing, decoded)
    standard = None if access.bursts_as_read or _is_standard(listing, seen, access, shape) else cache(
        partial(_at_standard_size, listing, seen, watcher))
    groups, words = find_groups(listing, standard or (lambda: decoded), order, section.group)
    if words:
        notes.append(words)
        watcher.notice(words)
    splits = {name: _split(listing, decoded, standard, order[listing.splits[order] == name], groups, left_out)
              for name in SPLITS}
    train = splits["train"]
    if not len(train) and access.shape is None:  # a trained model may be evaluated on them
        raise DataError(f"{listing.words}: received no training images that can be read; expected some in each class")
    readable = np.unique(listing.labels[order])
    if len(readable) < 2:
        raise DataError(f"{listing.words}: only images of {listing.classes[readable[0]]!r} can be read; expected at "
                        "least 2 classes")
    held = {name: split if len(split) else None for name, split in splits.items() if name != "train"}
    return Dataset(listing.name, listing.uri, listing.classes, train, held["validation"], held["test"], tuple(notes),
                   left_out, section.resize)


def _shape(listing: Listing, seen: Look, access: Access) -> Shape:
    """The shape to decode to: `data.size`, or the shape of arrays, or the median side within what the model wants."""
    channels, size = 1 if seen.grey else 3, access.section.size
    if size is not None:
        return size, size, channels
    return _natural(listing, seen, access.side or SIDE)


def _natural(listing: Listing, seen: Look, most: int) -> Shape:
    """The shape of images that are arrays, or of files: a square of the median side, but at most `most`."""
    if isinstance(listing.reader, Arrays):
        height, width, channels = listing.reader.images.shape[1:]
        return height, width, channels
    side = max(SMALLEST, min(seen.side, most))
    return side, side, 1 if seen.grey else 3


def _is_standard(listing: Listing, seen: Look, access: Access, shape: Shape) -> bool:
    """Whether images decoded to `shape` are those that `_at_standard_size` gives."""
    standard = _natural(listing, seen, SIDE)
    return (shape[:2] == standard[:2] and (access.shape is None or access.shape == standard)
            and (access.section.resize == STANDARD or isinstance(listing.reader, Arrays)))


def _at_standard_size(listing: Listing, seen: Look, watcher: Watcher) -> Decoded:
    """The images at the size that they have without `data.size`, `data.resize` and the size that a recipe asks for.

    All recipes find the same bursts on them, and so hold out the same images.
    """
    shape = _natural(listing, seen, SIDE)
    return _decoded(listing, shape, STANDARD, watcher, only_grey=shape[2] == 1)


def _decoded(listing: Listing, shape: Shape, resize: Resize, watcher: Watcher, only_grey: bool) -> Decoded:
    """The images of a listing brought to `shape`; in colour if some of them are, although all seemed to be grey."""
    try:
        return decode(listing, shape, resize, watcher, only_grey)
    except Coloured:
        return decode(listing, (*shape[:2], 3), resize, watcher)


def _shape_of(decoded: Decoded) -> Shape:
    height, width, channels = decoded.images.shape[1:]
    return height, width, channels


def _notes(listing: Listing, seen: Look, shape: Shape, access: Access, left_out: Sequence[LeftOut]) -> list[str]:
    """Sentences about what is read how."""
    notes = []
    if not isinstance(listing.reader, Arrays):
        why = "as the model expects" if access.shape else "data.size" if access.section.size else \
            f"{_most(access, seen)}the median side is {seen.side:,}; set data.size for another"
        notes.append(f"images: {shape[0]}×{shape[1]} pixels, {'grey' if shape[2] == 1 else 'colour'}, "
                     f"{access.section.resize} ({why})")
    if left_out:
        reasons: dict[str, list[str]] = {}
        for one in left_out:
            reasons.setdefault(_kind(one.reason), []).append(one.name)
        notes += [f"left out, because {reason}: {len(names):,} ({some(names)})" for reason, names in reasons.items()]
    return notes


def _alike(classes: Sequence[str]) -> list[str]:
    """A sentence about classes whose names differ only in case or in spaces around them; nothing without any."""
    spellings: dict[str, list[str]] = {}
    for name in classes:
        spellings.setdefault(" ".join(name.casefold().split()), []).append(name)
    found = [" and ".join(names) for names in spellings.values() if len(names) > 1]
    if not found:
        return []
    return [f"classes whose names differ only in case or spaces: {some(found)}; if they are one, give them one name"]


def _most(access: Access, seen: Look) -> str:
    """What keeps images smaller than their median side, in words; nothing if nothing does."""
    if seen.side <= (access.side or SIDE):
        return ""
    return f"the recipe asks for {access.side}; " if access.side else f"at most {SIDE} without data.size; "


def _kind(reason: str) -> str:
    """The reason without what is special to one image."""
    return "it can't be read as an image" if "can't be read" in reason else reason


def _order(listing: Listing, decoded: Decoded) -> np.ndarray:
    """The numbers of the readable images, sorted by class, then by name."""
    readable = [i for i in range(len(listing)) if i not in decoded.unread]
    if not readable:
        first = next(iter(decoded.unread.values()))
        raise DataError(f"{listing.words}: none of its {counted(len(listing), 'image')} can be read (the first: "
                        f"{first.name}: {first.reason})")
    if not listing.ordered:
        readable.sort(key=lambda i: natural(listing.names[i]))
    order = np.array(readable, np.int64)
    return order[np.argsort(listing.labels[order], kind="stable")]


def _split(listing: Listing, decoded: Decoded, standard: Callable[[], Decoded] | None, rows: np.ndarray,
           groups: np.ndarray | None, left_out: Sequence[LeftOut]) -> Split:
    words = listing.words + (f", {counted(len(left_out), 'file')} left out" if left_out else "")
    split = Split(View(decoded.images, rows), listing.labels[rows], Provenance(words),
                  names=tuple(printable(listing.names[i]) for i in rows),
                  standard=None if standard is None else lambda: View(standard().images, rows))
    return split if groups is None else replace(split, groups=groups[rows])
