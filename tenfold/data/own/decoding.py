"""Decode the images of a listing, in parallel and once, into a memory-mapped array on disk.

The file's name is a hash of everything that determines the pixels: the content of the source, the shape, the way of
resizing, and the version of the rules. An interrupted decoding continues where it stopped. Images that can't be read
become black rows; their reasons stand in `NAME.unread`, a line of JSON each.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tenfold.counted import counted
from tenfold.data.dataset import LeftOut
from tenfold.data.fitting import fitted
from tenfold.data.images import image_header, printable, read_image
from tenfold.data.in_threads import in_threads, parts_of
from tenfold.data.location import image_root
from tenfold.data.own.listing import Arrays, Content, Listing
from tenfold.data.source import Shape
from tenfold.errors import DataError, ImageError
from tenfold.machine import threads
from tenfold.progress import Watcher
from tenfold.recipe.sections import Resize
from tenfold.storage.arrays import StoredArray
from tenfold.storage.files import storing, write_whole

RULES = 1  # version of the rules of reading and resizing: another one makes a new cache
BLOCK = 512  # images decoded between two progress reports
NOTED = 8  # blocks after which the disk is made to hold them: an interrupted decoding continues there
AHEAD = 8  # parts for each thread that are taken before their turn
BLOCK_BYTES = 64 << 20  # of decoded images in a block, at most
LOOKED_AT = 300  # images whose headers give the size and the colour
ADVICE = "set TENFOLD_CACHE to another directory"


@dataclass(frozen=True)
class Decoded:
    """The images of a listing, uint8 [n, h, w, c] in its order, and those that can't be read, by number.

    `key` is a hash of everything that determines the pixels.
    """

    images: np.ndarray
    unread: dict[int, LeftOut]
    key: str


class Coloured(Exception):  # noqa: N818
    """A colour image among images that seemed to be grey."""


@dataclass(frozen=True)
class Look:
    """Median of the longer sides, and whether all images are grey, of the first images that were looked at."""

    side: int
    grey: bool


def look(listing: Listing) -> Look:
    """Look at up to 300 images: evenly spaced, or the first ones of a sequential source.

    Raises DataError if none of them can be read.
    """
    count = min(LOOKED_AT, len(listing))
    first = range(count) if listing.reader.sequential else np.linspace(0, len(listing) - 1, count).astype(int).tolist()
    shapes: list[tuple[int, ...]] = []
    reason = ""
    for tried, number in enumerate(itertools.chain(first, range(len(listing)))):
        if shapes and tried >= count:
            break
        try:
            content = listing.reader.read(number)
            shapes.append(content.shape if isinstance(content, np.ndarray) else image_header(content).shape)
        except ImageError as error:
            reason = reason or f"{printable(listing.names[number])}: {error}"
    if not shapes:
        raise DataError(f"{listing.words}: none of its {counted(len(listing), 'image')} can be read (the first: "
                        f"{reason})")
    return Look(int(np.median([max(shape[:2]) for shape in shapes])), all(shape[2] == 1 for shape in shapes))


def decode(listing: Listing, shape: Shape, resize: Resize, watcher: Watcher, only_grey: bool = False) -> Decoded:
    """The images of a listing brought to `shape`, from the cache or decoded into it.

    Images of a listing that are arrays of that shape already are returned as they are. Raises Coloured for an image
    in colour if `only_grey`, StorageError if the cache can't be written.
    """
    key = _key(listing, shape, resize)
    if isinstance(listing.reader, Arrays) and listing.reader.images.shape[1:] == shape:
        return Decoded(listing.reader.images, {}, key)
    path = image_root() / f"{key}.npy"
    stored = StoredArray(path, (len(listing), *shape), np.dtype(np.uint8), ADVICE, {"uri": printable(listing.uri)})
    notes = path.with_suffix(".unread")
    coloured = image_root() / f"{_key(listing, (*shape[:2], 3), resize)}.coloured"  # beside the images in colour
    with storing(path, ADVICE):
        found, known = stored.find(), coloured.exists()
    if only_grey and known:
        raise Coloured
    if found is None:
        watcher.notice(f"decoding {counted(len(listing), 'image')} of {listing.words} to {shape[0]}×{shape[1]}, once, "
                       f"into {image_root()}")
    block = max(1, min(BLOCK, BLOCK_BYTES // int(np.prod(shape))))
    read = partial(_pixels, shape=shape, resize=resize, only_grey=only_grey)
    try:
        with ThreadPoolExecutor(threads()) as pool:
            images = stored.fill_with(
                lambda out, done: _decode(listing, read, out, done, block, pool, notes), NOTED * block,
                waiting=lambda: watcher.notice("another process is decoding these images; waiting for it"),
                stop=watcher.stop, progress=lambda done: watcher.advance("decode", done, len(listing), "images"))
    except Coloured:
        for suffix in (".part", ".rows", ".unread", ".json"):
            path.with_suffix(suffix).unlink(missing_ok=True)
        write_whole(coloured, "", ADVICE)  # so that the next time needs no decoding to find out
        raise
    return Decoded(images, _read_notes(notes), key)


def _decode(listing: Listing, read: Callable[[Content], np.ndarray], out: np.ndarray, start: int, block: int,
            pool: ThreadPoolExecutor, notes: Path) -> Iterator[int]:
    """Decode the images from `start` on into their rows, and note those that can't be read: black, as the array is.

    Yields how many rows are finished, after each block of them.
    """
    if start == 0:
        with storing(notes, ADVICE):
            notes.unlink(missing_ok=True)  # those of an array that was removed

    def pixels(part: tuple[Sequence[int], Iterable[Content | ImageError]]) -> tuple[int, list[tuple[int, ImageError]]]:
        failed = []
        for number, content in zip(*part, strict=True):
            try:
                if isinstance(content, ImageError):
                    raise content
                out[number] = read(content)
            except ImageError as error:
                out[number] = 0
                failed.append((number, error))
        return part[0][-1] + 1, failed

    def contents(numbers: Sequence[int]) -> Iterable[Content | ImageError]:
        found = _contents(listing, numbers)
        return list(found) if listing.reader.sequential else found  # read here, decoded there

    parts = ((numbers, contents(numbers)) for numbers in parts_of(range(start, len(out)), threads()))
    told = start
    for done, errors in in_threads(pixels, parts, pool, threads() * (1 if listing.reader.sequential else AHEAD)):
        if errors:
            _note(notes, listing, errors)
        if done - told >= block or done == len(out):
            told = done
            yield done


def _note(notes: Path, listing: Listing, errors: Sequence[tuple[int, ImageError]]) -> None:
    with storing(notes, ADVICE), notes.open("a", encoding="utf-8") as file:
        for number, error in errors:
            file.write(json.dumps({"number": number, "name": printable(listing.names[number]),
                                   "reason": str(error)}) + "\n")


def _contents(listing: Listing, numbers: Sequence[int]) -> Iterator[Content | ImageError]:
    for number in numbers:
        try:
            yield listing.reader.read(number)
        except ImageError as error:
            yield error


def _pixels(content: Content, shape: Shape, resize: Resize, only_grey: bool) -> np.ndarray:
    if isinstance(content, bytes):
        if only_grey and image_header(content).shape[2] == 3:
            raise Coloured
        return read_image(content, shape, resize=resize)
    return fitted(content, shape, resize)


def _key(listing: Listing, shape: Shape, resize: Resize) -> str:
    return hashlib.sha256(json.dumps([RULES, listing.signature, shape, resize]).encode()).hexdigest()[:32]


def _read_notes(notes: Path) -> dict[int, LeftOut]:
    if not notes.exists():
        return {}
    with storing(notes, ADVICE):
        lines = [json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    return {line["number"]: LeftOut(line["name"], line["reason"], unreadable=True) for line in lines}
