"""Predictors of exported models: what every export says of itself, and its four outputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, field_validator

from tenfold import modelfile
from tenfold.errors import ModelFileError, RunError, first_line
from tenfold.run.exports import FOLDER
from tenfold.runtimes.predictor import BATCH, in_batches

if TYPE_CHECKING:
    from tenfold.run import Run

KEY = "tenfold"  # of the facts, in the metadata of every format
PART = 64  # images of a large batch that one thread computes: threads that share an image wait for each other
OUTPUTS = ("probabilities", "calibrated", "features", "logits")  # of every exported model, in this order


class Exported:
    """A Predictor of an exported model; its predictions raise ModelFileError if the model gives no finite numbers.

    `facts` is the metadata of the model at `path`; `compute` maps uint8 [b, *shape] and names of outputs to these
    outputs, float32 [b, columns] each.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any],
                 compute: Callable[[np.ndarray, Sequence[str]], list[np.ndarray]]) -> None:
        self.path, self.facts = path, facts
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
        rows, count = self._rows(("logits", "features"), images, batch_size), len(self.classes)
        return rows[:, :count], rows[:, count:]

    def output(self, name: str, images: Any, batch_size: int = BATCH) -> np.ndarray:
        """An output in `OUTPUTS`: float32 [n, columns]. Raises UsageError like every Predictor."""
        return self._rows((name,), images, batch_size)

    def _rows(self, names: Sequence[str], images: Any, batch_size: int) -> np.ndarray:
        """Outputs side by side: float32 [n, columns of all]. Raises UsageError, ModelFileError."""
        columns = sum(self.facts["features"] if name == "features" else len(self.classes) for name in names)

        def compute(batch: np.ndarray) -> np.ndarray:
            try:
                rows = np.concatenate(self._compute(batch, names), axis=1)
            except Exception as error:  # of the runtime, which checks less when it opens a model
                raise damaged(self.path, f"can't be computed: {first_line(error)}") from None
            if rows.shape != (len(batch), columns) or not np.isfinite(rows).all():
                raise damaged(self.path, f"gives {' or '.join(names)} that are no finite numbers for each image")
            return rows

        return in_batches(compute, images, self.shape, columns, batch_size)

    def outputs(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """All outputs for one batch, uint8 [b, *shape], computed once."""
        return dict(zip(OUTPUTS, self._compute(batch, OUTPUTS), strict=True))


def parts(batch: np.ndarray) -> list[np.ndarray]:
    """A batch in parts of at most PART images."""
    return [batch[start : start + PART] for start in range(0, len(batch), PART)]


def joined(found: Iterable[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """The outputs of a batch from those of its parts, in their order."""
    return [np.concatenate(each) for each in zip(*found, strict=True)]


class _Facts(modelfile.Facts):
    """What the facts must contain, among others."""

    features: Annotated[int, Field(ge=1, le=1 << 26)]
    source: Annotated[dict[str, Any], Field(default_factory=dict)]

    @field_validator("classes")
    @classmethod
    def _differ(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError("two classes have the same name")
        return names


def read_facts(path: Path, text: str | None) -> dict[str, Any]:
    """The facts in the metadata of an exported file. Raises ModelFileError if they are missing or damaged."""
    try:
        facts: dict[str, Any] = json.loads(text or "")
        _Facts.model_validate(facts)
    except (ValueError, RecursionError):
        raise ModelFileError(f"{path}: is no model that Tenfold exported (its metadata has no readable {KEY!r}); "
                             "export one with `tenfold export RUN FORMAT`") from None
    return facts


def check_sides(path: Path, facts: Mapping[str, Any], found: Mapping[str, Sequence[int | None]]) -> None:
    """Raise ModelFileError if a graph does not take and give what its facts say.

    found: name of each input and output → its sides without the first; None is an unknown one.
    """
    expected = {"pixels": facts["shape"], **{name: [len(facts["classes"])] for name in OUTPUTS},
                "features": [facts["features"]]}
    for name, sides in expected.items():
        known = found.get(name, ())
        if len(known) != len(sides) or any(side not in (None, each) for side, each in zip(known, sides, strict=True)):
            raise damaged(path, f"has {name!r} of shape {list(known)} for each image, not of {sides}")


def check_content(path: Path) -> None:
    """Raise ModelFileError if the facts beside an exported model are those of another content."""
    beside = facts_beside(path)
    try:
        expected, received = json.loads(beside.read_bytes())[KEY]["sha256"], measured(path)[1]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return  # a model may travel without them
    if received != expected:
        raise damaged(path, f"has not the SHA-256 that {beside.name} names")


def facts_beside(path: Path) -> Path:
    """The JSON file beside an exported model, with its facts, size and SHA-256."""
    return path.with_name(f"{path.name}.json")


def measured(path: Path) -> tuple[int, str]:
    """(bytes, SHA-256 in hex) of a file, or of all files in a folder in the order of their paths."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return sum(file.stat().st_size for file in files), digest.hexdigest()


def damaged(path: Path, what: str) -> ModelFileError:
    """The error for an exported model that can't be right."""
    return ModelFileError(f"{path}: {what}: it is damaged or was changed; export it again with `tenfold export RUN "
                          "FORMAT`")


def of_run(run: Run, name: str, format: str, open_file: Callable[[Path], Exported]) -> Exported:
    """A run's export, opened. Raises RunError if it is missing or was made from another model than the present one."""
    path, model = run.path / FOLDER / name, run.path / "model.keras"
    if not path.exists():
        raise RunError(f"{run.path}: the run has no {FOLDER}/{name}; create it with `tenfold export {run.path} "
                       f"{format}`")
    opened = open_file(path)
    if model.exists() and opened.facts.get("source", {}).get("model") != modelfile.fingerprint(model):
        raise RunError(f"{path}: was exported from another model than {model}; export it again with `tenfold export "
                       f"{run.path} {format}`")
    return opened
