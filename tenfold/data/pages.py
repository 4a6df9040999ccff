"""Reads the sizes of pages and columns in a parquet file without pyarrow.

The footer of a file may state false sizes, and a reader that unpacks the pages trusts their headers. So both are
checked before pyarrow opens the file; pyarrow itself would end the process on some damaged parts. Footer and page
headers use a small part of Thrift's compact protocol (parquet-format, `FileMetaData` and `PageHeader` in
parquet.thrift).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

Content = bytes | mmap.mmap  # the bytes of a file
Fields = dict[int, tuple[int, object]]  # number → (kind, value) for each field of a Thrift structure

BYTE, INTEGERS, DOUBLE, BINARY, LIST, STRUCTURE = 3, (4, 5, 6), 7, 8, 9, 12  # kinds of values; 1 is true, 2 false
INT32, INT64 = 5, 6
ROW_GROUPS, COLUMNS, METADATA = 4, 1, 3  # fields that lead from the footer to a column's metadata
TOTAL_COMPRESSED_SIZE, DATA_PAGE_OFFSET, DICTIONARY_PAGE_OFFSET = 7, 9, 11  # fields of a column's metadata
UNCOMPRESSED_SIZE, COMPRESSED_SIZE, DATA_PAGE, DATA_PAGE_V2 = 2, 3, 5, 8  # fields of a page header
ENCODING = {DATA_PAGE: 2, DATA_PAGE_V2: 4}  # the encoding's field in each kind of data page header
MAX_FOOTER = 8 << 20  # bytes; the footer of an official file has 30,000


@dataclass(frozen=True)
class Chunk:
    """The byte range of a column in one row group, and the column's number in the schema."""

    column: int
    start: int
    stop: int


@dataclass(frozen=True)
class Page:
    """The unpacked size of a page in bytes, and the parquet number of its encoding (None: not a data page)."""

    size: int
    encoding: int | None


def chunks(content: Content) -> Iterator[Chunk]:
    """The columns of all row groups, from the footer of the file.

    Raises ValueError, TypeError or IndexError if the footer is damaged or ambiguous.
    """
    length = int.from_bytes(content[-8:-4], "little")
    if content[-4:] != b"PAR1" or not 0 < length <= min(len(content) - 8, MAX_FOOTER):
        raise ValueError("the footer is damaged")
    footer, _ = _structure(content, len(content) - 8 - length)
    for group in _list(footer, ROW_GROUPS):
        for number, entry in enumerate(_list(group, COLUMNS)):
            column = _nested(entry, METADATA)
            start = _size(column, DATA_PAGE_OFFSET, INT64)
            if DICTIONARY_PAGE_OFFSET in column and 0 < _size(column, DICTIONARY_PAGE_OFFSET, INT64) < start:
                start = _size(column, DICTIONARY_PAGE_OFFSET, INT64)
            yield Chunk(number, start, start + _size(column, TOTAL_COMPRESSED_SIZE, INT64))


def pages(content: Content, chunk: Chunk) -> Iterator[Page]:
    """The pages of a column in one row group.

    Raises ValueError, TypeError or IndexError if a page header is damaged or ambiguous.
    """
    at = chunk.start
    while at < chunk.stop:
        header, at = _structure(content, at)
        encoding = None
        for kind, field in ENCODING.items():
            if kind in header:
                encoding = _size(_nested(header, kind), field)
        yield Page(_size(header, UNCOMPRESSED_SIZE), encoding)
        at += _size(header, COMPRESSED_SIZE)


def _size(fields: Fields, number: int, expected: int = INT32) -> int:
    kind, value = fields.get(number, (0, None))
    if kind != expected or not isinstance(value, int) or not 0 <= value < 1 << (31 if kind == INT32 else 63):
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
    """(fields, position after them) of the structure that begins at position `at`."""
    fields: Fields = {}
    number = 0
    while head := content[at]:
        at, kind = at + 1, head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(content, at)
        if number in fields:
            raise ValueError("a structure has a field twice")
        value: object = None
        if kind > 2:
            value, at = _value(content, at, kind)
        fields[number] = kind, value
    return fields, at + 1


def _value(content: Content, at: int, kind: int) -> tuple[object, int]:
    if kind in INTEGERS:
        return _integer(content, at)
    if kind == STRUCTURE:
        return _structure(content, at)
    if kind == BINARY:
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
    if kind in (1, 2, BYTE, DOUBLE):  # in a list, true and false take one byte each
        return content[at], at + (8 if kind == DOUBLE else 1)
    raise ValueError("a field has an unknown type")


def _integer(content: Content, at: int) -> tuple[int, int]:
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
