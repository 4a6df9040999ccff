"""The headers of image files, read once: size and colour mode before decoding changed them."""

from __future__ import annotations

import numpy as np

from tenfold.data.images import Header, file_start, image_header, printable
from tenfold.data.location import image_root
from tenfold.data.own.decoding import ADVICE, Decoded
from tenfold.data.own.listing import Arrays, Files, Listing
from tenfold.errors import ImageError
from tenfold.progress import Watcher
from tenfold.storage.arrays import StoredArray

BLOCK = 2048  # files between two progress reports
FIRST = 1 << 16  # bytes at the start of a file that nearly always hold its header
ROW = np.dtype([("height", "<i4"), ("width", "<i4"), ("bytes", "<i8"), ("mode", "S8")])


def read_headers(listing: Listing, decoded: Decoded, watcher: Watcher) -> dict[str, tuple[Header, int]]:
    """(header, bytes of the file) by the name of the image, for every image file whose header can be read.

    They are kept beside the decoded images. Images that are arrays have none. Raises StorageError.
    """
    if isinstance(listing.reader, Arrays):
        return {}
    stored = StoredArray(image_root() / f"{decoded.key}.headers.npy", (len(listing),), ROW, ADVICE,
                         {"uri": printable(listing.uri)})
    rows = stored.fill(lambda start, end: _rows(listing, start, end), BLOCK, stop=watcher.stop,
                       progress=lambda done: watcher.advance("inspect", done, len(listing), "images"))
    return {printable(name): (Header(height, width, mode.decode()), size)
            for name, (height, width, size, mode) in zip(listing.names, rows.tolist(), strict=True) if height}


def _rows(listing: Listing, start: int, end: int) -> np.ndarray:
    rows = np.zeros(end - start, ROW)
    for number in range(start, end):
        try:
            header, size = _file_header(listing, number)
        except (ImageError, OSError):
            continue
        rows[number - start] = header.height, header.width, size, header.mode.encode()
    return rows


def _file_header(listing: Listing, number: int) -> tuple[Header, int]:
    if not isinstance(listing.reader, Files):
        content = listing.reader.read(number)
        if isinstance(content, np.ndarray):
            return Header(content.shape[0], content.shape[1], "L" if content.shape[2] == 1 else "RGB"), content.nbytes
        return image_header(content), len(content)
    path = listing.reader.paths[number]
    start, size = file_start(path, FIRST)
    try:
        return image_header(start), size
    except ImageError:  # its header is longer
        return image_header(path), size
