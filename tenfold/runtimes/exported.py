"""Predictors of exported models: what every export says of itself, and its four outputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold import modelfile
from tenfold.errors import ModelFileError, RunError
from tenfold.run.exports import FOLDER
from tenfold.runtimes.predictor import BATCH, in_batches

if TYPE_CHECKING:
    from tenfold.run import Run

KEY = "tenfold"  # of the facts, in the metadata of every format
PART = 64  # images of a large batch that one thread computes: threads that share an image wait for each other
OUTPUTS = ("probabilities", "calibrated", "features", "logits")  # of every exported model, in this order


class Exported:
    """A Predictor of an exported model.

    `facts` is its metadata; `compute` maps uint8 [b, *shape] and names of outputs to these outputs, float32
    [b, columns] each.
    """

    def __init__(self, facts: Mapping[str, Any], compute: Callable[[np.ndarray, Sequence[str]], list[np.ndarray]],
                 ) -> None:
        self.facts = facts
        self.classes: tuple[str, ...] = tuple(facts["classes"])
        self.shape: tuple[int, int, int] = tuple(facts["shape"])
        self._compute = compute

    def predict(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        return self.output("probabilities", images, batch_size)

    def logits(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        return self.output("logits", images, batch_size)

    def features(self, images: Any, batch_size: int = BATCH) -> np.ndarray:
        return self.output("features", images, batch_size)

    def logits_and_features(self, images: Any, batch_size: int = BATCH) -> tuple[np.ndarray, np.ndarray]:
        count = len(self.classes)
        rows = in_batches(lambda batch: np.concatenate(self._compute(batch, ["logits", "features"]), axis=1), images,
                          self.shape, count + self.facts["features"], batch_size)
        return rows[:, :count], rows[:, count:]

    def output(self, name: str, images: Any, batch_size: int = BATCH) -> np.ndarray:
        """An output in `OUTPUTS`: float32 [n, columns]. Raises UsageError like every Predictor."""
        columns = self.facts["features"] if name == "features" else len(self.classes)
        return in_batches(lambda batch: self._compute(batch, [name])[0], images, self.shape, columns, batch_size)

    def outputs(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """All outputs for one batch, uint8 [b, *shape], computed once."""
        return dict(zip(OUTPUTS, self._compute(batch, OUTPUTS), strict=True))


def parts(batch: np.ndarray) -> list[np.ndarray]:
    """A batch in parts of at most PART images."""
    return [batch[start : start + PART] for start in range(0, len(batch), PART)]


def joined(found: Iterable[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """The outputs of a batch from those of its parts, in their order."""
    return [np.concatenate(each) for each in zip(*found, strict=True)]


def read_facts(path: Path, text: str | None) -> dict[str, Any]:
    """The facts in the metadata of an exported file. Raises ModelFileError if they are missing or damaged."""
    try:
        facts = json.loads(text or "")
        classes, shape = facts["classes"], facts["shape"]
        whole = (len(shape) == 3 and all(isinstance(side, int) for side in [*shape, facts["features"]])
                 and all(isinstance(name, str) for name in classes))
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise ModelFileError(f"{path}: is no model that Tenfold exported (its metadata has no readable {KEY!r}); "
                             "export one with `tenfold export RUN FORMAT`")
    return dict(facts)


def of_run(run: Run, name: str, format: str) -> Path:
    """The path of a run's export. Raises RunError if it is missing or was exported from another model."""
    path = run.path / FOLDER / name
    if not path.exists():
        raise RunError(f"{run.path}: the run has no {FOLDER}/{name}; create it with `tenfold export {run.path} "
                       f"{format}`")
    return path


def check_source(run: Run, path: Path, facts: Mapping[str, Any], format: str) -> None:
    """Raise RunError if a run's export was made from another model than its present one."""
    model = run.path / "model.keras"
    if model.exists() and facts.get("source", {}).get("model") != modelfile.fingerprint(model):
        raise RunError(f"{path}: was exported from another model than {model}; export it again with `tenfold export "
                       f"{run.path} {format}`")
