"""ONNX: one file, its facts in the model's property `tenfold`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tenfold.export.formats import Answer, Format
from tenfold.export.source import Source
from tenfold.extras import needed_for
from tenfold.registry import FORMATS
from tenfold.runtimes import open_export
from tenfold.runtimes.exported import OUTPUTS

if TYPE_CHECKING:
    import onnx


def model(source: Source) -> onnx.ModelProto:
    """The ONNX model of a source. Raises UsageError for a layer without an ONNX form, MissingExtraError."""
    with needed_for("the format onnx", "export"):
        from tenfold.export import onnxgraph
    return onnxgraph.build(source.plain, source.temperature, source.facts)


def write(source: Source, path: Path) -> None:
    path.write_bytes(model(source).SerializeToString())


def read(path: Path) -> Answer:
    predictor = open_export(path)

    def answer(images: np.ndarray) -> dict[str, np.ndarray]:
        return {name: predictor.output(name, images, len(images)) for name in OUTPUTS}

    return answer


FORMATS.add("onnx")(Format(".onnx", write, read))
