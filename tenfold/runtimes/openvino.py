"""The runtime `openvino`: computes an exported OpenVINO model, in float32, without Keras and PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock
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

SUFFIX = ".openvino"  # of a folder with these two files
GRAPH, WEIGHTS = "model.xml", "model.bin"
AT_ONCE = 8  # parts of a batch that are given to OpenVINO before any is waited for
NAME = f"model{SUFFIX}"  # of a run's export


@RUNTIMES.add("openvino")
def open_run(run: Run) -> Exported:
    """The OpenVINO model exported in a run. Raises RunError without one, ModelFileError if it is damaged."""
    return of_run(run, NAME, "openvino", open_file)


def open_file(path: Path) -> Exported:
    """An exported OpenVINO folder. Raises ModelFileError if it is damaged or not from Tenfold, MissingExtraError."""
    with needed_for("the runtime openvino", "export"):
        import openvino
    core = openvino.Core()
    threads = machine.current("float32").threads
    settings = {  # by default it computes in bfloat16 where the processor can
        "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    check_content(path)
    try:
        model = core.read_model(path / GRAPH)
        text = model.get_rt_info([KEY]).astype(str) if model.has_rt_info([KEY]) else None
        facts = read_facts(path, text)
        check_sides(path, facts, {name: [side.get_length() if side.is_static else None
                                         for side in list(each.partial_shape)[1:]]
                                  for each in (*model.inputs, *model.outputs) for name in each.get_names()})
    except ModelFileError:
        raise
    except Exception as error:  # OpenVINO raises RuntimeErrors of many lines
        raise ModelFileError(f"{path}: can't be opened as an OpenVINO model: {first_line(error)}; export it again "
                             "with `tenfold export RUN openvino`") from None
    lock = Lock()  # a request computes for one caller at a time

    @cache
    def alone() -> Any:
        return core.compile_model(model, "CPU", {**settings, "PERFORMANCE_HINT": "LATENCY"}).create_infer_request()

    @cache
    def side_by_side() -> list[Any]:
        streams = core.compile_model(model, "CPU", {**settings, "NUM_STREAMS": threads})
        return [streams.create_infer_request() for _ in range(AT_ONCE)]

    def compute(batch: np.ndarray, outputs: Sequence[str]) -> list[np.ndarray]:
        def read(request: Any) -> list[np.ndarray]:
            return [np.array(request.get_tensor(output).data) for output in outputs]

        with lock:
            if threads == 1 or len(batch) <= PART:
                alone().infer({"pixels": batch})
                return read(alone())
            found, waiting = [], parts(batch)
            for start in range(0, len(waiting), AT_ONCE):
                chosen = list(zip(side_by_side(), waiting[start : start + AT_ONCE], strict=False))
                for each, part in chosen:
                    each.start_async({"pixels": part})
                for each, _ in chosen:
                    each.wait()
                    found.append(read(each))
            return joined(found)

    return Exported(path, facts, compute)
