"""The headers of parquet's pages, as pyarrow writes them and damaged."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenfold.data.pages import Chunk, Page, chunks, pages


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("statistics", [True, False])
def test_page_sizes_add_up_to_the_sizes_in_the_footer(tmp_path: Path, version: str, statistics: bool) -> None:
    values = pa.table({"a": [str(i % 500) * 40 for i in range(5000)], "b": np.arange(5000)})
    pq.write_table(values, tmp_path / "a.parquet", data_page_version=version, data_page_size=4096,
                   write_statistics=statistics, use_dictionary=["a"], column_encoding={"b": "DELTA_BINARY_PACKED"})
    content, group = (tmp_path / "a.parquet").read_bytes(), pq.read_metadata(tmp_path / "a.parquet").row_group(0)
    for column, encoding in ((group.column(0), 8), (group.column(1), 5)):
        chunk = next(chunk for chunk in chunks(content) if chunk.column == "ab".index(column.path_in_schema))
        assert chunk.start == (column.dictionary_page_offset or column.data_page_offset)
        assert chunk.stop == chunk.start + column.total_compressed_size
        found = list(pages(content, chunk))
        assert {page.encoding for page in found} == {encoding} | ({None} if encoding == 8 else set())
        headers = column.total_uncompressed_size - sum(page.size for page in found)  # the file counts them too
        assert 0 < headers < 200 * len(found)


@pytest.mark.parametrize(("header", "expected"), [
    ("1500 1520 1502 2c1502 1500 00 00", [Page(16, 0)]),
    ("1500 1520 00", "a size is damaged"),
    ("1500 1620 1502 00", "a size is damaged"),  # 64 bits wide: another reader would pass over it
    ("1500 1580808080 8001 1502 00", "a size is damaged"),
    ("1500 151f 1502 00", "a size is damaged"),  # negative
    ("1500 1520 1502 0504 1520 00", "twice"),
    ("1500 1520 1502 1b00 00", "unknown type"),
    ("15ffffffffffffffffffffff", "no end"),
    ("1500 1520", "index out of range"),
])
def test_an_ambiguous_or_damaged_page_header_is_refused(header: str, expected: object) -> None:
    content = bytes.fromhex(header)
    if isinstance(expected, list):
        assert list(pages(content + b"x", Chunk(0, 0, len(content) + 1))) == expected
        return
    with pytest.raises((ValueError, IndexError), match=str(expected)):
        list(pages(content, Chunk(0, 0, len(content))))


@pytest.mark.parametrize("content", [
    b"", b"PAR1", b"\x00" + (1).to_bytes(4, "little") + b"PARE", b"\x00" + (9).to_bytes(4, "little") + b"PAR1",
    b"\x00" + (1).to_bytes(4, "little") + b"PAR1", bytes.fromhex("49 1c 16 00") + (4).to_bytes(4, "little") + b"PAR1",
])
def test_a_damaged_footer_is_refused(content: bytes) -> None:
    with pytest.raises((ValueError, TypeError, IndexError)):
        list(chunks(content))
