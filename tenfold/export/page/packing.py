"""Models as text in a page: compressed, then 7 bits a character. `unpacking.js` reads it.

A character of 7 bits takes one byte in UTF-8. HTML replaces the characters 0 and 13, and 60 (<) could begin a tag: they
are written 128 higher, in two bytes, so the text takes 8/7 · (1 + 3/128) = 1.17 bytes for a byte; base64 takes 1.33.
"""

from __future__ import annotations

import gzip

import numpy as np

WORD = 4  # bytes of a float32
SHIFTS = np.arange(49, -1, -7, dtype=np.uint64)  # of the 8 characters that hold 7 bytes
UNSAFE = np.frombuffer(b"\x00\r<", np.uint8)


def pack_model(model: bytes) -> str:
    """A model as text. The bytes of its float32 numbers are grouped by their place, because only the last vary little.

    xz would take 1 % less, but 14 MB would open 0.4 seconds later: browsers know gzip, and weights repeat nothing.
    """
    return text_of(gzip.compress(_grouped(model), mtime=0))


def unpack_model(text: str) -> bytes:
    """The model in a text of `pack_model`. Raises EOFError, gzip.BadGzipFile or zlib.error if it is damaged."""
    content = gzip.decompress(bytes_of(text))
    whole = len(content) // WORD * WORD
    return np.frombuffer(content[:whole], np.uint8).reshape(WORD, -1).T.tobytes() + content[whole:]


def _grouped(content: bytes) -> bytes:
    """All first bytes of the 4-byte words, then all second bytes and so on; the rest of fewer than 4 at the end."""
    whole = len(content) // WORD * WORD
    return np.frombuffer(content[:whole], np.uint8).reshape(-1, WORD).T.tobytes() + content[whole:]


def text_of(content: bytes) -> str:
    """Bytes as characters of 7 bits each, highest bit first."""
    groups = np.zeros((-(-len(content) // 7), 8), np.uint8)
    groups[:, 1:] = np.frombuffer(content.ljust(7 * len(groups), b"\0"), np.uint8).reshape(-1, 7)
    codes = (groups.view(">u8") >> SHIFTS & np.uint64(127)).astype(np.uint8).ravel()[: -(-8 * len(content) // 7)]
    codes[np.isin(codes, UNSAFE)] |= 128
    return codes.tobytes().decode("latin-1")


def bytes_of(text: str) -> bytes:
    """The bytes in a text of `text_of`."""
    codes = np.zeros((-(-len(text) // 8), 8), np.uint64)
    codes.reshape(-1)[: len(text)] = np.frombuffer(text.encode("latin-1"), np.uint8) & 127
    groups = np.bitwise_or.reduce(codes << SHIFTS, axis=1).astype(">u8").view(np.uint8).reshape(-1, 8)
    return groups[:, 1:].tobytes()[: len(text) * 7 // 8]
