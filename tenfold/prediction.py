"""Predict the class probabilities of images with a finished run or an exported model; nothing else is needed."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import modelfile
from tenfold.data.familiar import unlike
from tenfold.data.given.image import read
from tenfold.data.given.unlabelled import with_paths
from tenfold.data.images import check_present, printable
from tenfold.errors import ImageError, RunError, UsageError
from tenfold.notebooks import data_frame, table
from tenfold.run import Run, State, model_at
from tenfold.runtimes import AUTO, BATCH, Exported, Predictor, open_export, open_predictor

TOLERATED = 0.05  # fraction of images that may lie outside the ranges of the training images without a warning


@dataclass(frozen=True)
class Prediction:
    """The prediction for an image, or the reason why it could not be read.

    path: of a file or of a row of a table, or None; number: the image's place among all images, from 1; label: the most
    probable class; probabilities: by class name.
    """

    path: Path | None
    label: str | None
    probabilities: dict[str, float]
    error: str | None = None
    unlike: bool = False  # brightness or contrast outside the range of the training images
    number: int = field(default=1, compare=False)

    @property
    def name(self) -> str:
        """The path, or the number of an image that is no file."""
        return f"image {self.number}" if self.path is None else str(self.path)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for CSV and JSON: path, label, probability, unlike, error and one `p_<class>` per class."""
        best = self.probabilities.get(self.label) if self.label else None
        columns = {f"p_{name}": p for name, p in self.probabilities.items()}
        return {"path": self.name, "label": self.label, "probability": best,
                "unlike": None if self.error else self.unlike, "error": self.error, **columns}


class Predictions(list[Prediction]):
    """The predictions of images, in order; a table in a notebook."""

    def to_pandas(self) -> Any:
        """A pandas.DataFrame with a row for each image. Raises MissingExtraError if pandas is not installed."""

        def make() -> Any:
            import pandas

            return pandas.DataFrame([each.to_dict() for each in self])

        return data_frame(make)

    def _repr_html_(self) -> str:
        rows = []
        for each in self:
            p = "" if each.label is None else f"{100 * each.probabilities[each.label]:.1f} %"
            rows.append((printable(each.name), each.label or each.error, p))
        return table(("image", "predicted class", "probability"), rows)


def predict(model: Run | str | Path, images: Any, batch_size: int = BATCH, runtime: str = AUTO) -> Predictions:
    """Classify images: paths, arrays, Pillow images, bytes of image files, or a list of them; in order.

    model: a Run, its path, or that of an exported model. images: one of these, or a list of them in any mixture. The
    path of a folder means all images in it (recursively), that of a table of pixels all its rows. An array may also
    hold many images, [n, h, w] or [n, h, w, c]: uint8, or decimals from 0 to 1 or to 255; for a model of colour images,
    [3, h, w] is one image. Images of any size and mode are converted to the model's size and channels. Each gets a
    Prediction, even if it is given twice. If an image can't be read, its Prediction has an `error` and the others are
    still classified. runtime: computes the model of a run; a name in `tenfold.registry.RUNTIMES`, or "auto" for the
    run's ONNX model if it keeps one and ONNX Runtime is installed, else `fast`. An exported model has its own runtime.

    Raises UsageError for a path that does not exist, a folder without images or a value of another type, DataError for
    an unsuitable table, RunError if the run has no model, ModelFileError if an exported model is damaged,
    MissingExtraError if its runtime is not installed.
    """
    model = model_at(model) if isinstance(model, str | Path) else Run.open(model)
    for each in images if isinstance(images, list | tuple) else [images]:
        if isinstance(each, str | Path):
            check_present(each)  # a wrong path is told before a runtime is imported
    predictor, facts = _opened(model, runtime)
    found = list(with_paths(images, predictor.shape[2]))
    results = Predictions()
    for start in range(0, len(found), batch_size):
        results += _predict_batch(predictor, found[start : start + batch_size], facts, start)
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
    """Warnings about predictions: the run is unfinished, a fitted temperature is not used, images are unlike those of
    the training.
    """
    found = []
    status = model.status() if isinstance(model, Run) else None
    if status is not None and status.state is not State.FINISHED:
        reason = f" ({status.reason})" if status.reason else ""
        found.append(f"the run's status is {status.state.value!r}{reason}: its training is incomplete")
    if isinstance(model, Run) and model.has("calibration.json"):
        with contextlib.suppress(RunError):
            found.append("the probabilities are those of the model, without the temperature "
                         f"{model.calibration()['temperature']:.3f} that `tenfold evaluate --calibrate` has fitted")
    read = [each for each in predictions if each.error is None]
    strange = [each for each in read if each.unlike]
    if len(strange) > TOLERATED * len(read):
        found.append(f"{len(strange):,} of {len(read):,} images are unlike the training images in brightness or "
                     f"contrast (the first is {printable(Path(strange[0].name).name)}): their probabilities may be "
                     "meaningless")
    return found


def _predict_batch(
    predictor: Predictor, given: Sequence[tuple[Path | None, Any]], facts: Mapping[str, Any], before: int,
) -> list[Prediction]:
    """The predictions of images, `before` of which come before them."""
    ranges, shape, resize = facts.get("pixels"), predictor.shape, facts.get("resize", "stretch")
    images: list[np.ndarray] = []
    errors: list[str | None] = []
    for _, image in given:
        try:
            images.append(read(image, shape, resize=resize))
            errors.append(None)
        except ImageError as error:
            errors.append(str(error))
    pixels = np.stack(images) if images else np.zeros((0, *predictor.shape), np.uint8)
    strange = iter(unlike(pixels, ranges) if ranges else [False] * len(pixels))
    rows, classes = iter(predictor.predict(pixels)), predictor.classes
    results = []
    for number, ((path, _), reason) in enumerate(zip(given, errors, strict=True), before + 1):
        if reason is not None:
            results.append(Prediction(path, None, {}, reason, number=number))
        else:
            p = next(rows)
            results.append(Prediction(path, classes[int(p.argmax())], dict(zip(classes, map(float, p), strict=True)),
                                      unlike=bool(next(strange)), number=number))
    return results
