"""Parquet files of encoded images: which columns, in which order, from how many row groups."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_images import drawn, encoded

from tenfold.data.encoded_table import open_table, values_of
from tenfold.errors import DataError

CONTENTS = [encoded(drawn(i)) for i in range(7)]
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(path: Path, columns: dict[str, pa.Array], **options: object) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


@pytest.mark.parametrize("rows", [1, 3, 100])
@pytest.mark.parametrize("dictionary", [True, False])
def test_rows_come_in_order_from_any_number_of_row_groups(tmp_path: Path, rows: int, dictionary: bool) -> None:
    cells = pa.array([{"bytes": each, "path": None} for each in CONTENTS], IMAGE)
    path = write(tmp_path / "a.parquet", {"image": cells, "label": pa.array(range(7))}, row_group_size=rows,
                 use_dictionary=dictionary)
    table = open_table(path, ("label",))
    assert (len(table), table.image, table.label) == (7, "image.bytes", "label")
    found, labels = [], []
    for part, numbers in table.batches(4):
        positions, values = values_of(part)
        found += [values[position].as_py() for position in positions]
        labels += numbers.to_pylist()
    assert found == CONTENTS
    assert labels == list(range(7))


def test_the_first_known_columns_are_used_and_others_never_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {
        "note": pa.array(["x"] * 7), "image": pa.array(CONTENTS), "coarse": pa.array(range(7)),
        "fine": pa.array(range(7))})
    assert (open_table(path, ("fine", "coarse")).label, open_table(path, ("other", "coarse")).label) == \
        ("fine", "coarse")
    with pytest.raises(DataError, match=r"received the columns note, image, coarse, fine; expected 'label' and 'img'"):
        open_table(path, ("label",))


def test_rows_that_share_an_image_share_a_value(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", {"img": pa.array([CONTENTS[0]] * 5), "label": pa.array(range(5))})
    ((cells, _),) = open_table(path, ("label",)).batches(10)
    positions, values = values_of(cells)
    assert list(positions) == [0] * 5
    assert len(values) == 1
