"""Predict the class probabilities of images with a finished run or an exported model; nothing else is needed."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tenfold import modelfile
from tenfold.arguments import whole
from tenfold.counted import are, counted
from tenfold.data.familiar import unlike
from tenfold.data.given.image import read
from tenfold.data.given.unlabelled import with_paths
from tenfold.data.images import check_given, printable
from tenfold.data.in_threads import in_threads, parts_of
from tenfold.decisions.conformal import Sets
from tenfold.decisions.crossconformal import CrossSets
from tenfold.decisions.rules import LEVEL, Decision, Rules
from tenfold.errors import ImageError, ModelFileError, RunError, UsageError, first_line
from tenfold.machine import threads
from tenfold.notebooks import data_frame, table
from tenfold.run import Run, State, model_at
from tenfold.runtimes import AUTO, BATCH, Exported, Predictor, open_export, open_predictor

Given = tuple[Path | None, Any]  # the path of an image, None if it is no file, and the image
Computed = tuple[np.ndarray, ...]  # what a network gives for a batch
FEW = 16  # images; more are read in several threads
TOLERATED = 0.05  # fraction of images that may lie outside the ranges of the training images without a warning


@dataclass(frozen=True)
class Prediction:
    """The prediction for an image, or the reason why it could not be read.

    path: of a file or of a row of a table, or None; number: the image's place among all images, from 1; label: the most
    probable class; probabilities: by class name, calibrated if the model has decision rules; set: the classes that hold
    the true one as often as the level says, most probable first, None without a rule; decision: "accepted", "unsure",
    "unknown", or None for a model without rules.
    """

    path: Path | None
    label: str | None
    probabilities: dict[str, float]
    error: str | None = None
    unlike: bool = False  # brightness or contrast outside the range of the training images
    number: int = field(default=1, compare=False)
    set: tuple[str, ...] | None = None
    decision: str | None = None

    @property
    def name(self) -> str:
        """The path, or the number of an image that is no file."""
        return f"image {self.number}" if self.path is None else str(self.path)

    @property
    def probability(self) -> float | None:
        """The probability of the label, calibrated if the model has decision rules; None for an unread image."""
        return None if self.label is None else self.probabilities[self.label]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for CSV and JSON: path, label, probability, set, decision, unlike, error; `p_<class>` of all."""
        found = (self.name, self.label, self.probability, None if self.set is None else list(self.set), self.decision,
                 None if self.error else self.unlike, self.error, *self.probabilities.values())
        return dict(zip(columns(tuple(self.probabilities)), found, strict=True))


@lru_cache(maxsize=2)
def columns(classes: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of a table of predictions for these classes."""
    return ("path", "label", "probability", "set", "decision", "unlike", "error", *(f"p_{name}" for name in classes))


class Predictions(list[Prediction]):
    """The predictions of images, in order; a table in a notebook. rule_cautions: what the decision rules lack."""

    rule_cautions: Sequence[str] = ()

    def to_pandas(self) -> Any:
        """A pandas.DataFrame with a row for each image. Raises MissingExtraError if pandas is not installed."""

        def make() -> Any:
            import pandas

            return pandas.DataFrame([each.to_dict() for each in self])

        return data_frame(make)

    def _repr_html_(self) -> str:
        rows = []
        for each in self:
            p = "" if each.probability is None else f"{100 * each.probability:.1f} %"
            rows.append((printable(each.name), each.label or each.error, p, each.decision or ""))
        return table(("image", "predicted class", "probability", "decision"), rows)


def predict(model: Run | str | Path, images: Any, batch_size: int = BATCH, runtime: str = AUTO,
            level: float | None = None) -> Predictions:
    """Classify images: paths, arrays, Pillow images, bytes of image files, or a list of them; in order.

    model: a Run, its path, or that of an exported model. images: one of these, or a list of them in any mixture. The
    path of a folder means all images in it (recursively), that of a table (CSV of paths or of pixels, parquet of
    encoded images) all its rows. An array may also
    hold many images, [n, h, w] or [n, h, w, c]: uint8, or decimals from 0 to 1 or to 255; for a model of colour images,
    [3, h, w] is one image. Images of any size and mode are converted to the model's size and channels. Each gets a
    Prediction, even if it is given twice. If an image can't be read, its Prediction has an `error` and the others are
    still classified. runtime: computes the model of a run; a name in `tenfold.registry.RUNTIMES`, or "auto" for the
    run's ONNX model if it keeps one and ONNX Runtime is installed, else `fast`. An exported model has its own runtime.
    level: of the prediction sets, one that `calibrate` has fitted; default: 90 %.

    Raises UsageError for a path that does not exist, a folder without images, a value of another type or a level that
    the model has no rule for, DataError for an unsuitable table, RunError if the run has no model, ModelFileError if an
    exported model is damaged, MissingExtraError if its runtime is not installed.
    """
    model = model_at(model) if isinstance(model, str | Path) else Run.open(model)
    check_given(images)
    classifier = Classifier(model, runtime, level)
    results = Predictions()
    results.rule_cautions = classifier.cautions
    for predictions in classifier.classify_all(images, batch_size):
        results += predictions
    return results


class Classifier:
    """A run or an exported model that is opened once to classify many images; see `predict`."""

    def __init__(self, model: Run | Path, runtime: str = AUTO, level: float | None = None) -> None:
        self._predictor, self._facts = _opened(model, runtime)
        self._answering = _Answering.of(model, self._predictor, self._facts, level)
        self.cautions = self._answering.cautions(model)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images that the model takes."""
        return self._predictor.shape

    @property
    def classes(self) -> tuple[str, ...]:
        return self._predictor.classes

    def classify_all(self, images: Any, batch_size: int = BATCH) -> Iterator[list[Prediction]]:
        """The predictions of images as they are given to `predict`, batch by batch."""
        batch_size = whole("batch_size", batch_size, 1)
        found = iter(list(with_paths(images, self.shape[2])))  # wrong paths are told before anything is computed
        return self.classify(iter(lambda: list(itertools.islice(found, batch_size)), []))

    def classify(self, batches: Iterable[Sequence[Given]]) -> Iterator[list[Prediction]]:
        """The predictions of each batch of images with their paths.

        While the network computes a batch, the next one is read, and then the rows of the one before are made.
        """
        from concurrent.futures import Future, ThreadPoolExecutor

        with ThreadPoolExecutor(1) as computing:
            batch: _Batch | None = None
            computed: Future[Computed] | None = None
            for given in batches:
                following = self._read(given, 0 if batch is None else batch.number + len(batch.given))
                found = None if computed is None else computed.result()
                computed = computing.submit(self._answering.compute, following.pixels)
                if batch is not None and found is not None:
                    yield self._predictions(batch, found)
                batch = following
            if batch is not None and computed is not None:
                yield self._predictions(batch, computed.result())

    def _read(self, given: Sequence[Given], number: int) -> _Batch:
        decoded = _decoded([image for _, image in given], self.shape, self._facts.get("resize", "stretch"))
        images = [value for value in decoded if not isinstance(value, str)]
        return _Batch(given, number, [value if isinstance(value, str) else None for value in decoded],
                      np.stack(images) if images else np.zeros((0, *self.shape), np.uint8))

    def _predictions(self, batch: _Batch, computed: Computed) -> list[Prediction]:
        ranges, classes = self._facts.get("pixels"), self.classes
        strange = iter(unlike(batch.pixels, ranges).tolist() if ranges else [False] * len(batch.pixels))
        rows = self._answering.answers(batch.pixels, computed)
        results = []
        for number, ((path, _), error) in enumerate(zip(batch.given, batch.errors, strict=True), batch.number + 1):
            if error is not None:
                results.append(Prediction(path, None, {}, error, number=number))
                continue
            p, order, members, decision = next(rows)
            results.append(Prediction(
                path, classes[order[0]], dict(zip(classes, p, strict=True)), unlike=next(strange), number=number,
                decision=decision, set=None if members is None else tuple(classes[i] for i in order if members[i])))
        return results


@dataclass(frozen=True)
class _Batch:
    """Images with their paths that are read together.

    number: how many come before them; errors: for each, why it can't be read, or None; pixels: of the others, uint8
    [n, h, w, c].
    """

    given: Sequence[Given]
    number: int
    errors: list[str | None]
    pixels: np.ndarray


def _opened(model: Run | Path, runtime: str) -> tuple[Predictor, Mapping[str, Any]]:
    """The predictor of a run or an exported model, and the facts in its file."""
    if isinstance(model, Run):
        predictor = open_predictor(model, runtime)
        known = predictor.facts if isinstance(predictor, Exported) else modelfile.facts(model.path / "model.keras")
        return predictor, known
    if runtime != AUTO:
        raise UsageError(f"runtime: received {runtime!r} for the exported model {model}; expected none, because it "
                         "has its own runtime: leave it out")
    exported = open_export(model)
    return exported, exported.facts


@dataclass(frozen=True)
class _Answering:
    """How a predictor answers: with the decision rules in its file, if it has any, and sets of one level."""

    predictor: Predictor
    rules: Rules | None
    sets: Sets | CrossSets | None

    @classmethod
    def of(cls, model: Run | Path, predictor: Predictor, facts: Mapping[str, Any], level: float | None) -> _Answering:
        """Raises RunError or ModelFileError if the rules are damaged, UsageError for a level without a rule."""
        rules = _rules(model, predictor, facts)
        sets = None if rules is None else rules.sets_at(LEVEL if level is None else level)
        if level is not None and sets is None:
            raise UsageError(f"level: received {level:g}; {_without_level(model, rules, level)}")
        return cls(predictor, rules, sets)

    def compute(self, pixels: np.ndarray) -> Computed:
        """What the network gives for images: probabilities float32 [n, k], with rules logits and features."""
        return (self.predictor.predict(pixels),) if self.rules is None else self.predictor.logits_and_features(pixels)

    def answers(self, pixels: np.ndarray, computed: Computed,
                ) -> Iterator[tuple[list[float], list[int], list[bool] | None, str | None]]:
        """(probability of each class, classes from the most probable, which are in the set, decision) of each image."""
        found = computed[0]
        chosen: Any = [None] * len(pixels)
        decisions: Any = chosen
        if self.rules is not None:
            logits, features = computed
            found = self.rules.probabilities(logits)
            if self.sets is not None:
                chosen = self.rules.shown(self.sets, found, features).tolist()
            decisions = [each.value for each in
                         self.rules.decide(found, logits, features, self.rules.statistics(pixels))]
        orders = np.argsort(-found, axis=1, kind="stable").tolist()
        return zip(found.tolist(), orders, chosen, decisions, strict=True)

    def cautions(self, model: Run | Path) -> list[str]:
        """What the rules lack; a run without validation images can have none."""
        if self.rules is not None:
            return [*self.rules.cautions(_run_of(model)), *_interrupted(model)]
        if not isinstance(model, Run):
            return []
        help = (f"fit them with `tenfold calibrate {model.path}`" if _can_be_calibrated(model) else
                "they need a validation split (`data.validation`)")
        return ["the model has no decision rules: its probabilities are not calibrated, and it can't tell when not to "
                f"answer; {help}"]


def _interrupted(model: Run | Path) -> list[str]:
    """A caution for a run whose rules were written into its model, or were about to be, but not into its record."""
    if not isinstance(model, Run) or model.has("decisions.json"):
        return []
    return ["the run has no decisions.json, because the fitting of its decision rules was interrupted: which rules its "
            f"model has is unknown; fit them again with `tenfold calibrate {model.path}`"]


def _rules(model: Run | Path, predictor: Predictor, facts: Mapping[str, Any]) -> Rules | None:
    """The decision rules in the facts of a model. Raises RunError or ModelFileError if they are damaged."""
    features = predictor.features(np.zeros((0, *predictor.shape), np.uint8)).shape[1]
    if isinstance(model, Run):
        return Rules.of_run(model.path, facts, features)
    try:
        return Rules.read(facts, features)
    except ValueError as error:
        reason = f"its decision rules are damaged ({first_line(error)})"
        raise ModelFileError(f"{model}: {reason}; export the model again with `tenfold export`") from None


def _without_level(model: Run | Path, rules: Rules | None, level: float) -> str:
    """Why there are no sets of a level, and what to do."""
    if not 0 < level < 1:
        return "expected a fraction between 0 and 1, as in 0.9"
    if rules is None and not _can_be_calibrated(model):
        return "the model has no prediction sets, because it was trained without a validation split; leave it out"
    known = sorted({f"{each.level:g}" for each in rules.sets}) if rules else []
    expected = f"expected one of {', '.join(known)}" if known else "the model has no prediction sets"
    if rules and level in rules.refused:
        images = rules.fitted["images"]
        return (f"it needs {counted(rules.refused[level], 'calibration image')}, and there {are(images)} {images:,}; "
                f"{expected}")
    return f"{expected}; fit it with `tenfold calibrate {_run_of(model)} --level {level:g}`"


def _can_be_calibrated(model: Run | Path) -> bool:
    """Whether decision rules can be fitted: not if a run has no validation split. Of an export, that is not known."""
    if isinstance(model, Path):
        return True
    with contextlib.suppress(RunError):
        return "validation" in model.environment().splits
    return True


def _run_of(model: Run | Path) -> str:
    return str(model.path) if isinstance(model, Run) else "RUN"


def cautions(model: Run | Path, predictions: Sequence[Prediction]) -> list[str]:
    """Warnings about predictions: the run is unfinished, has weak decision rules or none, or images are unlike those of
    the training.
    """
    found = []
    status = model.status() if isinstance(model, Run) else None
    if status is not None and status.state is not State.FINISHED:
        reason = f" ({status.reason})" if status.reason else ""
        found.append(f"the run's status is {status.state.value!r}{reason}: its training is incomplete")
    found += getattr(predictions, "rule_cautions", ())
    read = [each for each in predictions if each.error is None]
    strange = [each for each in read if each.unlike]
    if len(strange) > TOLERATED * len(read):
        found.append(f"{len(strange):,} of {counted(len(read), 'image')} {are(len(strange))} unlike the training "
                     f"images in brightness or contrast (the first is {printable(Path(strange[0].name).name)}): their "
                     f"probabilities may be meaningless{_although_accepted(strange)}")
    return found


def _although_accepted(strange: Sequence[Prediction]) -> str:
    """How the decision for images unlike those of the training is to be read."""
    accepted = sum(each.decision == Decision.ACCEPTED for each in strange)
    if not accepted:
        return ""
    return (f"; {accepted:,} of them {are(accepted)} accepted, because the decision rules ignore this warning; their "
            "guarantee covers only images like the calibration images: check these yourself")


def _decoded(images: Sequence[Any], shape: tuple[int, int, int], resize: Any) -> list[np.ndarray | str]:
    """The pixels of each image, or the reason why it can't be read; of many images, in several threads."""

    def pixels(part: Sequence[Any]) -> list[np.ndarray | str]:
        found: list[np.ndarray | str] = []
        for image in part:
            try:
                found.append(read(image, shape, resize=resize))
            except ImageError as error:
                found.append(str(error))
        return found

    if len(images) < FEW:
        return pixels(images)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads()) as pool:
        return list(itertools.chain.from_iterable(in_threads(pixels, parts_of(images, threads()), pool, len(images))))
