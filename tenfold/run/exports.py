"""The exported models of a run, and what else can take the place of a run in `tenfold predict`."""

from __future__ import annotations

from pathlib import Path

from tenfold.errors import MissingRunError
from tenfold.run.directory import Run

FOLDER = "exports"
RUNTIMES = {".onnx": "onnx", ".openvino": "openvino"}  # suffix of an exported model → the runtime that computes it
KEPT = f"{FOLDER}/model.onnx"  # written by each training where the extra is installed


def is_export(path: Path) -> bool:
    """Whether a path has the suffix of an exported model that a runtime computes."""
    return path.suffix in RUNTIMES


def model_at(path: str | Path) -> Run | Path:
    """The model at a path: a run, or the path itself if it is that of an exported model.

    Raises MissingRunError if there is neither.
    """
    if is_export(Path(path)) and Path(path).exists():
        return Path(path)
    try:
        return Run.open(path)
    except MissingRunError as error:
        raise MissingRunError(f"{error}, or a model exported as onnx or openvino") from None
