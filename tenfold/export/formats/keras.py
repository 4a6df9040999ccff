"""Keras: a `.keras` file for Keras 3.4 and later on any backend, its facts in the member `tenfold.json` of the zip."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tenfold import modelfile
from tenfold.export.engine import compute
from tenfold.export.formats import Answer, Format
from tenfold.export.source import Source
from tenfold.registry import FORMATS
from tenfold.runtimes.exported import OUTPUTS


def write(source: Source, path: Path) -> None:
    modelfile.save(source.whole, path, source.facts)


def read(path: Path) -> Answer:
    """Open a `.keras` or `.h5` file of four outputs."""
    model = modelfile.load(path)

    def answer(images: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(OUTPUTS, compute(model, images), strict=True))

    return answer


FORMATS.add("keras")(Format(".keras", write, read))
