"""The runtime `onnx`: computes an exported ONNX model with ONNX Runtime, without Keras and PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tenfold import machine
from tenfold.errors import ModelFileError, first_line
from tenfold.extras import needed_for
from tenfold.registry import RUNTIMES
from tenfold.runtimes.exported import KEY, Exported, check_source, of_run, read_facts

if TYPE_CHECKING:
    from tenfold.run import Run

SUFFIX = ".onnx"
NAME = f"model{SUFFIX}"  # of the export that a run keeps


@RUNTIMES.add("onnx")
def open_run(run: Run) -> Exported:
    """The ONNX model that a run keeps. Raises RunError without one, ModelFileError if it is damaged."""
    path = of_run(run, NAME, "onnx")
    opened = open_file(path)
    check_source(run, path, opened.facts, "onnx")
    return opened


def open_file(path: Path) -> Exported:
    """An exported ONNX file. Raises ModelFileError if it is damaged or not from Tenfold, MissingExtraError."""
    with needed_for("the runtime onnx", "export"):
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = machine.current("float32").threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised as well
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise ModelFileError(f"{path}: can't be opened as an ONNX model: {first_line(error)}; export it again with "
                             "`tenfold export RUN onnx`") from None
    facts = read_facts(path, session.get_modelmeta().custom_metadata_map.get(KEY))

    def compute(batch: np.ndarray, outputs: Sequence[str]) -> list[np.ndarray]:
        found: list[np.ndarray] = session.run(outputs, {"pixels": batch})
        return found

    return Exported(facts, compute)
