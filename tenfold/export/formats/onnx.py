"""ONNX: one file, its facts in the model's property `tenfold`."""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tenfold import machine
from tenfold.export.formats import Answer, Format
from tenfold.export.int8 import batches
from tenfold.export.source import Source
from tenfold.extras import check_installed, needed_for
from tenfold.registry import FORMATS
from tenfold.runtimes import open_export
from tenfold.runtimes.exported import KEY

if TYPE_CHECKING:
    import onnx

# The operators with fast 8-bit forms; the last layer stays in float32, since it is small and decides.
QUANTIZED = ["Conv", "Gemm", "MatMul", "Add", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool", "Clip", "Relu"]
LAST = "logits/Gemm"


def model(source: Source) -> onnx.ModelProto:
    """The ONNX model of a source. Raises UsageError for a layer without an ONNX form, MissingExtraError."""
    with needed_for("the format onnx", "export"):
        from tenfold.export import onnxgraph
    return onnxgraph.build(source.plain, source.temperature, source.facts)


def write(source: Source, path: Path) -> None:
    path.write_bytes(model(source).SerializeToString())


def read(path: Path) -> Answer:
    return open_export(path).outputs


def quantize(source: Source, path: Path, images: np.ndarray) -> None:
    """Write the model with 8-bit convolutions and matrix products, in the QDQ format, after folding constants."""
    with needed_for("--int8 for onnx", "export"):
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}-") as folder:
        exact, prepared = Path(folder) / "exact.onnx", Path(folder) / "prepared.onnx"
        write(source, exact)
        quant_pre_process(exact, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared, path, Calibration(images), per_channel=True, activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8, reduce_range=not machine.has_vnni(),
            op_types_to_quantize=QUANTIZED, nodes_to_exclude=[LAST])


def restate(source: Source, path: Path) -> None:
    """Replace the facts in a written model."""
    path.write_bytes(with_facts(path.read_bytes(), source))


def with_facts(content: bytes, source: Source) -> bytes:
    """A model, given as ONNX bytes, with the facts of a source."""
    import onnx

    model = onnx.ModelProto.FromString(content)
    known = {each.key: each.value for each in model.metadata_props}
    onnx.helper.set_model_props(model, {**known, KEY: json.dumps(source.facts, ensure_ascii=False)})
    return model.SerializeToString()


class Calibration:
    """Gives ONNX Runtime the calibration images in batches."""

    def __init__(self, images: np.ndarray) -> None:
        self._batches = batches(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"pixels": batch}


FORMATS.add("onnx")(Format(
    ".onnx", write, read, quantize=quantize, restate=restate,
    check=partial(check_installed, "the format onnx", "export", "onnx", "onnxruntime")))
