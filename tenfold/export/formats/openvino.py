"""OpenVINO: a folder with model.xml and model.bin, its facts in the run-time information `tenfold`."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.export.formats import Format
from tenfold.export.formats import onnx as onnx_format
from tenfold.export.int8 import batches
from tenfold.export.source import Source
from tenfold.extras import check_installed, needed_for
from tenfold.registry import FORMATS
from tenfold.runtimes.exported import KEY
from tenfold.runtimes.openvino import GRAPH, SUFFIX, WEIGHTS


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


def quantize(source: Source, path: Path, images: np.ndarray) -> None:
    """Write the model with 8-bit layers, chosen and calibrated by NNCF; the last layer stays in float32."""
    model = converted(source)
    with needed_for("--int8 for openvino", "export"):
        import nncf
    nncf.set_log_level(logging.ERROR)
    dataset = nncf.Dataset([{"pixels": batch} for batch in batches(images, 1)])
    with contextlib.redirect_stdout(io.StringIO()):  # it prints bars, into files too
        narrow = nncf.quantize(model, dataset, preset=nncf.QuantizationPreset.MIXED, subset_size=len(images),
                               ignored_scope=nncf.IgnoredScope(names=[onnx_format.LAST], validate=False))
    save(narrow, source, path)


def restate(source: Source, path: Path) -> None:
    """Replace the facts in a written model."""
    import openvino

    core = openvino.Core()
    core.set_property({"ENABLE_MMAP": False})
    model = core.read_model(path / GRAPH)
    (path / WEIGHTS).unlink()  # whoever reads it keeps it
    save(model, source, path)


FORMATS.add("openvino")(Format(
    SUFFIX, write, onnx_format.read, folder=GRAPH, quantize=quantize, restate=restate,
    check=partial(check_installed, "the format openvino", "export", "onnx", "openvino"),
    check_int8=partial(check_installed, "--int8 for openvino", "export", "nncf")))
