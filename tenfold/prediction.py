"""Predict the class probabilities of images with a finished run or an exported model; nothing else is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import modelfile
from tenfold.data.familiar import unlike
from tenfold.data.fitting import fitted
from tenfold.data.images import image_files, printable, read_image
from tenfold.errors import ImageError, UsageError
from tenfold.run import Run, State, model_at
from tenfold.runtimes import AUTO, BATCH, Exported, Predictor, open_export, open_predictor

TABLES = (".csv", ".tsv")
TOLERATED = 0.05  # fraction of images that may lie outside the ranges of the training images without a warning


@dataclass(frozen=True)
class Prediction:
    """The prediction for an image file or a row of a table, or the reason why the file could not be read."""

    path: Path
    label: str | None
    probabilities: dict[str, float]
    error: str | None = None
    unlike: bool = False  # brightness or contrast outside the range of the training images

    def to_dict(self) -> dict[str, Any]:
        """Plain values for CSV and JSON: path, label, probability, error and one `p_<class>` per class."""
        best = self.probabilities.get(self.label) if self.label else None
        columns = {f"p_{name}": p for name, p in self.probabilities.items()}
        return {"path": str(self.path), "label": self.label, "probability": best, "error": self.error, **columns}


def predict(model: Run | str | Path, paths: Iterable[str | Path], batch_size: int = BATCH, runtime: str = AUTO,
            ) -> list[Prediction]:
    """Classify image files, all images in folders (recursively) and the rows of tables of pixels, in order.

    model: a Run, its path, or that of an exported model. Images of any size and mode are converted to the model's size
    and channels. Each file gets a Prediction, even if it is named twice. If a file can't be read, its Prediction has an
    `error` and the other files are still classified. runtime: computes the model of a run; a name in
    `tenfold.registry.RUNTIMES`, or "auto" for the run's ONNX model if it keeps one and ONNX Runtime is installed, else
    `fast`. An exported model has its own runtime.

    Raises UsageError for a path that does not exist or a folder without images, DataError for an unsuitable table,
    RunError if the run has no model, ModelFileError if an exported model is damaged, MissingExtraError if its runtime
    is not installed.
    """
    model = model if isinstance(model, Run) else model_at(model)
    images = list(_images(paths))
    predictor, facts = _opened(model, runtime)
    results: list[Prediction] = []
    for start in range(0, len(images), batch_size):
        results += _predict_batch(predictor, images[start : start + batch_size], facts)
    return results


def _opened(model: Run | Path, runtime: str) -> tuple[Predictor, Mapping[str, Any]]:
    """The predictor of a run or an exported model, and the facts in its file."""
    if isinstance(model, Run):
        predictor = open_predictor(model, runtime)
        known = predictor.facts if isinstance(predictor, Exported) else modelfile.facts(model.path / "model.keras")
        return predictor, known
    if runtime != AUTO:
        raise UsageError(f"--runtime: received {runtime!r} for the exported model {model}; expected none, because it "
                         "has its own runtime: leave it out")
    exported = open_export(model)
    return exported, exported.facts


def cautions(model: Run | Path, predictions: Sequence[Prediction]) -> list[str]:
    """Warnings about unreliable predictions: the run is unfinished, or the images are unlike the training images."""
    found = []
    status = model.status() if isinstance(model, Run) else None
    if status is not None and status.state is not State.FINISHED:
        reason = f" ({status.reason})" if status.reason else ""
        found.append(f"the run's status is {status.state.value!r}{reason}: its training is incomplete")
    read = [each for each in predictions if each.error is None]
    strange = [each for each in read if each.unlike]
    if len(strange) > TOLERATED * len(read):
        found.append(f"{len(strange):,} of {len(read):,} images are unlike the training images in brightness or "
                     f"contrast (the first is {printable(strange[0].path.name)}): their probabilities may be "
                     "meaningless")
    return found


def _images(paths: Iterable[str | Path]) -> Iterator[tuple[Path, np.ndarray | None]]:
    """The path of each image, and its pixels if it is a row of a table."""
    from tenfold.data.own.table import pixel_rows  # reads tables with pyarrow

    for path in map(Path, paths):
        if path.suffix.lower() in TABLES and path.is_file():
            yield from ((Path(f"{path} row {number}"), image) for number, image in enumerate(pixel_rows(path), 1))
        else:
            yield from ((file, None) for file in image_files([path]))


def _predict_batch(
    predictor: Predictor, contents: Sequence[tuple[Path, np.ndarray | None]], facts: Mapping[str, Any],
) -> list[Prediction]:
    ranges, shape, resize = facts.get("pixels"), predictor.shape, facts.get("resize", "stretch")
    images: list[np.ndarray] = []
    errors: list[str | None] = []
    for path, content in contents:
        try:
            images.append(read_image(path, shape, resize=resize) if content is None else fitted(content, shape, resize))
            errors.append(None)
        except ImageError as error:
            errors.append(str(error))
    pixels = np.stack(images) if images else np.zeros((0, *predictor.shape), np.uint8)
    strange = iter(unlike(pixels, ranges) if ranges else [False] * len(pixels))
    rows, classes = iter(predictor.predict(pixels)), predictor.classes
    results = []
    for (path, _), reason in zip(contents, errors, strict=True):
        if reason is not None:
            results.append(Prediction(path, None, {}, reason))
        else:
            p = next(rows)
            results.append(Prediction(path, classes[int(p.argmax())], dict(zip(classes, map(float, p), strict=True)),
                                      unlike=bool(next(strange))))
    return results
