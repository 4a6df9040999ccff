"""OpenVINO: a folder with model.xml and model.bin, its facts in the run-time information `tenfold`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tenfold.export.formats import Format
from tenfold.export.formats import onnx as onnx_format
from tenfold.export.source import Source
from tenfold.extras import needed_for
from tenfold.registry import FORMATS
from tenfold.runtimes.exported import KEY
from tenfold.runtimes.openvino import GRAPH, SUFFIX


def write(source: Source, path: Path) -> None:
    save(converted(source), source, path)


def converted(source: Source) -> Any:
    """The OpenVINO model of a source, from its ONNX model. Raises UsageError, MissingExtraError."""
    with needed_for("the format openvino", "export"):
        import openvino
    return openvino.Core().read_model(onnx_format.model(source).SerializeToString())


def save(model: Any, source: Source, path: Path) -> None:
    """Write an OpenVINO model with the facts of a source as a folder, its weights in float32."""
    import openvino

    model.set_rt_info(json.dumps(source.facts), [KEY])
    path.mkdir(exist_ok=True)
    openvino.save_model(model, path / GRAPH, compress_to_fp16=False)


FORMATS.add("openvino")(Format(SUFFIX, write, onnx_format.read, folder=True))
