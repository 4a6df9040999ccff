"""Tables with the pixels of an image in each row, as Kaggle's digit recognizer has them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.counted import are, counted
from tenfold.data.own.listing import some
from tenfold.errors import DataError, UsageError, first_line, unknown

PIXEL = re.compile(r"(pixel|px|p|x)?[ _.-]?\d+([x_]\d+)?([ _.-]?[rgb])?", re.IGNORECASE)
FEWEST = 16  # columns of pixels
MOST_BYTES = 4 << 30  # of a table
LABELS = ("label", "class", "target", "y")


@dataclass(frozen=True)
class Pixels:
    """The images of a table, uint8 [n, h, w, c], and their labels as text, if it has them."""

    images: np.ndarray
    labels: list[str] | None


def is_pixel_table(header: Sequence[str]) -> bool:
    """Whether the first line of a table names pixels, or is a row of numbers itself."""
    return len(header) > FEWEST and sum(bool(PIXEL.fullmatch(cell)) for cell in header) >= len(header) - 2


def read_pixels(path: Path, delimiter: str, header: Sequence[str], label_column: str | None = None) -> Pixels:
    """The images and labels of a table of pixels.

    Each row is a square image, row by row from the top; a colour image has red, green and blue for each pixel. The
    labels are in the column `label_column`, or in one named like "label"; if the first line is numbers only, in the
    first column. Raises DataError, with the row, for values that are not 0 to 255, and for a
    number of pixels that makes no square.
    """
    import pyarrow
    import pyarrow.csv

    if path.stat().st_size > MOST_BYTES:
        raise DataError(f"{path}: received {path.stat().st_size:,} bytes; expected a table with at most {MOST_BYTES:,}")
    headless = all(re.fullmatch(r"\d+", cell) for cell in header)
    names = [f"column {i + 1}" for i in range(len(header))] if headless else list(header)
    if len(set(names)) < len(names):
        raise DataError(f"{path}: two columns have the same name; expected each once")
    label = _label(names, headless, len(header), label_column)
    pixels = [name for name in names if name != label and (headless or PIXEL.fullmatch(name))]
    side, channels = _geometry(path, len(pixels))
    types = {name: pyarrow.float32() for name in pixels} | ({label: pyarrow.string()} if label else {})
    try:
        table = pyarrow.csv.read_csv(
            path, pyarrow.csv.ReadOptions(column_names=names, skip_rows=0 if headless else 1),
            pyarrow.csv.ParseOptions(delimiter=delimiter),
            pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(types), strings_can_be_null=True))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path}: {first_line(error)}; expected a whole number from 0 to 255 in each column of "
                        "pixels") from None
    if not len(table):
        raise DataError(f"{path}: received no rows; expected a row for each image")
    images = np.empty((len(table), len(pixels)), np.uint8)
    for i, name in enumerate(pixels):
        values = table.column(name).to_numpy()
        wrong = np.flatnonzero(~((values >= 0) & (values <= 255) & (values == np.floor(values))))
        if len(wrong):
            value = values[wrong[0]]
            raise DataError(f"{path}, row {wrong[0] + 1}: {name} is {'empty' if np.isnan(value) else f'{value:g}'}; "
                            "expected a whole number from 0 to 255")
        images[:, i] = values
    return Pixels(images.reshape(-1, side, side, channels), _texts(path, table.column(label)) if label else None)


def _label(names: Sequence[str], headless: bool, columns: int, chosen: str | None) -> str | None:
    if chosen is not None:
        if chosen not in names:
            raise UsageError(f"data.label_column: {unknown('column', chosen, [n for n in names if n != chosen][:20])}")
        return chosen
    if headless:
        return None if _square(columns) else names[0]
    lower = {name.lower(): name for name in names}
    return next((lower[name] for name in LABELS if name in lower), None)


def _square(count: int) -> bool:
    return math.isqrt(count) ** 2 == count or (count % 3 == 0 and math.isqrt(count // 3) ** 2 == count // 3)


def _geometry(path: Path, count: int) -> tuple[int, int]:
    """(height and width, channels) of an image of `count` values."""
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side * side * channels == count:
            return side, channels
    raise DataError(f"{path}: received {counted(count, 'column')} of pixels; expected a square number of them (784 for "
                    "28×28), or three times one")


def _texts(path: Path, column: Any) -> list[str]:
    texts = ["" if text is None else text.strip() for text in column.to_pylist()]
    missing = [f"row {i + 1}" for i, text in enumerate(texts) if not text]
    if missing:
        raise DataError(f"{path}: {len(missing):,} of {counted(len(texts), 'row')} {are(len(missing), 'has', 'have')} "
                        f"no label ({some(missing)}); add the labels or remove the rows")
    return texts
