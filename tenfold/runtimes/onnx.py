"""The runtime `onnx`: computes an exported ONNX model with ONNX Runtime, without Keras and PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold import machine
from tenfold.errors import ModelFileError, first_line
from tenfold.extras import needed_for
from tenfold.registry import RUNTIMES
from tenfold.runtimes.exported import (
    KEY,
    PART,
    Exported,
    check_content,
    check_sides,
    joined,
    of_run,
    parts,
    read_facts,
)

if TYPE_CHECKING:
    from tenfold.run import Run

SUFFIX = ".onnx"
NAME = f"model{SUFFIX}"  # of the export that a run keeps


@RUNTIMES.add("onnx")
def open_run(run: Run) -> Exported:
    """The ONNX model that a run keeps. Raises RunError without one, ModelFileError if it is damaged."""
    return of_run(run, NAME, "onnx", open_file)


def open_file(path: Path) -> Exported:
    """An exported ONNX file. Raises ModelFileError if it is damaged or not from Tenfold, MissingExtraError."""
    with needed_for("the runtime onnx", "export"):
        import onnxruntime
    threads = machine.current("float32").threads

    @cache
    def session(of_threads: int) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = of_threads, 1
        options.log_severity_level = 4  # errors are raised as well
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    check_content(path)
    try:
        content = path.read_bytes()
        opened = session(threads)
        text = opened.get_modelmeta().custom_metadata_map.get(KEY)
        sides = {each.name: [side if isinstance(side, int) else None for side in each.shape[1:]]
                 for each in (*opened.get_inputs(), *opened.get_outputs())}
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise ModelFileError(f"{path}: can't be opened as an ONNX model: {first_line(error)}; export it again with "
                             "`tenfold export RUN onnx`") from None
    facts = read_facts(path, text)
    check_sides(path, facts, sides)

    def compute(batch: np.ndarray, outputs: Sequence[str]) -> list[np.ndarray]:
        if threads == 1 or len(batch) <= PART:
            return list(session(threads).run(outputs, {"pixels": batch}))
        single = session(1)
        with ThreadPoolExecutor(threads) as pool:
            return joined(pool.map(lambda part: single.run(outputs, {"pixels": part}), parts(batch)))

    return Exported(path, facts, compute)
