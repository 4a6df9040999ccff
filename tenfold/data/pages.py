"""What a parquet file says of its own sizes, read without pyarrow.

A reader unpacks page by page and believes their headers; what the end of the file says of their sizes may be a lie, and
pyarrow ends the process when it is asked for some damaged parts of it. Both are in Thrift's compact protocol
(parquet-format, `FileMetaData` and `PageHeader` in parquet.thrift), of which they use little.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

Content = bytes | mmap.mmap  # of a file
Fields = dict[int, tuple[int, object]]  # of a Thrift structure, by their numbers: kind and value

BYTE, WHOLE, DOUBLE, TEXT, LIST, STRUCTURE = 3, (4, 5, 6), 7, 8, 9, 12  # kinds of values; 1 and 2 are true and false
SIZE_32, SIZE_64 = 5, 6
ROW_GROUPS, COLUMNS, COLUMN = 4, 1, 3  # fields on the way to what is said of a column in a row group
STORED, DATA, DICTIONARY = 7, 9, 11  # fields of that
UNPACKED, PACKED, DATA_PAGE, DATA_PAGE_V2 = 2, 3, 5, 8  # fields of a page's header
ENCODING = {DATA_PAGE: 2, DATA_PAGE_V2: 4}  # the field of the encoding in each kind of data page
MOST_OF_END = 8 << 20  # bytes at the end of a file that describe it; an official one has 30,000


@dataclass(frozen=True)
class Chunk:
    """Where the pages of a column in one row group lie in the file, and the column's number in the schema."""

    column: int
    start: int
    stop: int


@dataclass(frozen=True)
class Page:
    """The bytes that a page takes when it is unpacked, and its encoding, by parquet's number (None: no data page)."""

    size: int
    encoding: int | None


def chunks(content: Content) -> Iterator[Chunk]:
    """The columns of all row groups, as the end of the file tells. Raises as `pages` does."""
    length = int.from_bytes(content[-8:-4], "little")
    if content[-4:] != b"PAR1" or not 0 < length <= min(len(content) - 8, MOST_OF_END):
        raise ValueError("the end of the file is damaged")
    described, _ = _structure(content, len(content) - 8 - length)
    for group in _list(described, ROW_GROUPS):
        for number, entry in enumerate(_list(group, COLUMNS)):
            column = _nested(entry, COLUMN)
            start = _size(column, DATA, SIZE_64)
            if DICTIONARY in column and 0 < _size(column, DICTIONARY, SIZE_64) < start:
                start = _size(column, DICTIONARY, SIZE_64)
            yield Chunk(number, start, start + _size(column, STORED, SIZE_64))


def pages(content: Content, chunk: Chunk) -> Iterator[Page]:
    """The pages of a column in one row group.

    Raises ValueError, TypeError or IndexError where a header is damaged or could be read in two ways.
    """
    at = chunk.start
    while at < chunk.stop:
        fields, at = _structure(content, at)
        encoding = None
        for kind, place in ENCODING.items():
            if kind in fields:
                encoding = _size(_nested(fields, kind), place)
        yield Page(_size(fields, UNPACKED), encoding)
        at += _size(fields, PACKED)


def _size(fields: Fields, number: int, expected: int = SIZE_32) -> int:
    kind, value = fields.get(number, (0, None))
    if kind != expected or not isinstance(value, int) or not 0 <= value < 1 << (31 if kind == SIZE_32 else 63):
        raise ValueError("a size is damaged")
    return value


def _nested(fields: Fields, number: int) -> Fields:
    value = fields[number][1] if number in fields else None
    if not isinstance(value, dict):
        raise ValueError("a structure is damaged")
    return value


def _list(fields: Fields, number: int) -> list:
    value = fields[number][1] if number in fields else None
    if not isinstance(value, list):
        raise ValueError("a list is damaged")
    return value


def _structure(content: Content, at: int) -> tuple[Fields, int]:
    """The fields of a structure that begins at a place, and the place behind it."""
    fields: Fields = {}
    number = 0
    while head := content[at]:
        at, kind = at + 1, head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, at = _whole(content, at)
        if number in fields:
            raise ValueError("a structure has a field twice")
        value: object = None
        if kind > 2:
            value, at = _value(content, at, kind)
        fields[number] = kind, value
    return fields, at + 1


def _value(content: Content, at: int, kind: int) -> tuple[object, int]:
    if kind in WHOLE:
        return _whole(content, at)
    if kind == STRUCTURE:
        return _structure(content, at)
    if kind == TEXT:
        length, at = _varint(content, at)
        return content[at : at + length], at + length
    if kind == LIST:
        count, kind = content[at] >> 4, content[at] & 15
        count, at = (count, at + 1) if count < 15 else _varint(content, at + 1)
        values = []
        for _ in range(count):
            value, at = _value(content, at, kind)
            values.append(value)
        return values, at
    if kind in (1, 2, BYTE, DOUBLE):  # true and false take a byte in a list
        return content[at], at + (8 if kind == DOUBLE else 1)
    raise ValueError("a field is of an unknown kind")


def _whole(content: Content, at: int) -> tuple[int, int]:
    value, at = _varint(content, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(content: Content, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        value |= (content[at] & 127) << shift
        at += 1
        if content[at - 1] < 128:
            return value, at
    raise ValueError("a number has no end")
