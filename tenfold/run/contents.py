"""What the JSON files of a run must contain: the keys that Tenfold reads, with their types.

Other keys are allowed, because later versions may add some. Keys that earlier versions did not write are optional.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, model_validator

from tenfold.errors import in_one_line, shown
from tenfold.registry import METRICS

Number = Annotated[float, Field(ge=-1e300, le=1e300)]  # finite, and not a whole number of hundreds of digits
Positive = Annotated[float, Field(gt=0, le=1e300)]
Count = Annotated[int, Field(ge=0, le=1 << 53)]


class Content(BaseModel):
    """The content of a file, or a part of it."""

    model_config = ConfigDict(strict=True, protected_namespaces=())


class Entry(Content):
    """A value with its 95 % interval; None if it is undefined, with the reason."""

    value: Number | None
    low: Number | None = None
    high: Number | None = None
    reason: str = ""


class ClassRow(Content):
    """The values of one class; they are plain numbers in runs of earlier versions."""

    support: Count = 0
    precision: Entry | Number | None = None
    recall: Entry | Number | None = None
    f1: Entry | Number | None = None
    roc_auc: Entry | Number | None = None
    average_precision: Entry | Number | None = None


class SplitFacts(Content):
    """The size and the origin of a split."""

    count: Count
    source: str = "unknown"
    partial: bool = False
    held_out: bool = False
    expected: Count | None = None
    fingerprint: str = ""
    identity: str = ""
    fold_of: str = ""


class OtherFacts(SplitFacts):
    """Those of a split of another data set, and how many of its images are in the run's splits."""

    uri: str = ""
    overlap: dict[str, Count] = {}


def _with_metrics(scores: Any) -> Any:
    """Check the metrics among the scores, whichever are registered."""
    metrics = {name: scores[name] for name in METRICS.names() if name in scores} if isinstance(scores, Mapping) else {}
    problem = fault(RootModel[dict[str, Entry]], metrics)
    if problem:
        raise ValueError(problem)
    return scores


class Scores(Content):
    """The scores of one split, beside its metrics."""

    accuracy: Entry
    count: Count | None = None
    times: Count = 1
    earlier: Count = 0
    scored: str = ""
    views: str = ""
    notes: list[str] = []
    per_class: dict[str, ClassRow] = {}
    confusion_matrix: list[list[Count]] = []
    data: OtherFacts | None = None

    _metrics = model_validator(mode="before")(_with_metrics)

    @model_validator(mode="after")
    def _of_the_same_classes(self) -> Scores:
        rows = len(self.confusion_matrix)
        if {len(row) for row in self.confusion_matrix} - {rows} or (rows and len(self.per_class) not in (0, rows)):
            raise ValueError("the rows and columns of the confusion matrix are not those of the classes")
        return self


class Metrics(RootModel[dict[str, Scores]]):
    """`metrics.json`."""


class Times(RootModel[dict[str, Count]]):
    """`scored.json`."""


class Status(Content):
    """`status.json`."""

    status: Literal["running", "finished", "stopped", "diverged", "failed", "pruned"]
    reason: str | None = None
    epochs: Count = 0
    seconds: Number | None = None


class DatasetFacts(Content):
    """The data set of a run."""

    classes: Annotated[list[str], Field(min_length=1)]
    shape: Annotated[list[Annotated[int, Field(ge=1, le=1 << 20)]], Field(min_length=3, max_length=3)]
    fingerprint: str
    splits: dict[str, SplitFacts]
    identity: str = ""
    name: str = ""
    uri: str = ""


class ModelFacts(Content):
    """The size of a model."""

    parameters: Count | None = None
    flops_per_image: Count | None = None


class Environment(Content):
    """`environment.json`."""

    dataset: DatasetFacts
    model: ModelFacts = ModelFacts()
    seed: Count | None = None
    versions: dict[str, str] = {}
    machine: dict[str, Any] = {}
    pretrained: dict[str, Any] | None = None
    learning_curve: bool = False


class Calibrated(Content):
    """The metrics of a split that a temperature changes, with all others."""

    loss: Entry
    brier: Entry
    ece: Entry

    _metrics = model_validator(mode="before")(_with_metrics)


class Calibration(Content):
    """`calibration.json`."""

    temperature: Positive
    before: dict[str, Calibrated]
    after: dict[str, Calibrated]

    @model_validator(mode="after")
    def _of_the_same_splits(self) -> Calibration:
        if self.before.keys() != self.after.keys():
            raise ValueError("before and after are of different splits")
        return self


class Corruption(Content):
    """The accuracy under one corruption, by severity."""

    title: str
    accuracy: Annotated[list[Entry], Field(min_length=5, max_length=5)]


class Point(Content):
    """The accuracy of classifiers trained on a number of images."""

    images: Count
    accuracy: Number
    low: Number | None
    high: Number | None
    draws: Count = 1


class Doubled(Content):
    """The gain of accuracy to expect from twice the training images."""

    images: Count
    gain: Number
    low: Number | None
    high: Number | None


class Compared(Content):
    """The test accuracy of a run against that of another run on the same images."""

    images: Count
    accuracy: Number
    other: Number
    change: Number
    low: Number
    high: Number
    p: Number


class Distilled(Content):
    """`distillation.json`."""

    teacher: str
    parameters: Count | None
    teacher_parameters: Count | None
    same_data: bool
    test: Compared | None


class Member(Content):
    """A run in an ensemble."""

    run: str
    temperature: Positive
    validation: Number | None
    best: bool


class Ensemble(Content):
    """`ensemble.json`."""

    members: Annotated[list[Member], Field(min_length=2)]
    folds: Count = 0
    cost: Number
    seconds: Number
    test: Compared | None


class LearningCurve(Content):
    """`learning_curve.json`."""

    points: list[Point]
    doubled: Doubled | None


class Corruptions(Content):
    """`corruptions.json`."""

    count: Count
    clean: Entry
    mean: Entry
    corruptions: dict[str, Corruption]


class Speed(Content):
    """`inference.json`."""

    images_per_second: Number
    threads: Count
    processor: str


def fault(content: type[BaseModel], values: Mapping[str, Any]) -> str | None:
    """What is wrong with the values of a file, in words; None if they are valid."""
    try:
        content.model_validate(values)
    except ValidationError as error:
        found = error.errors(include_url=False)
        missing = [_key(item["loc"]) for item in found if item["type"] == "missing"]
        if missing:
            return f"missing {', '.join(missing[:5])}"
        first = found[0]
        reason = first["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
        received = "" if first["type"] == "value_error" else f"received {shown(first['input'])}; "
        return f"{_key(first['loc'])}: {received}{reason[:1].lower()}{reason[1:]}".removeprefix(": ")
    return None


def _key(location: tuple[int | str, ...]) -> str:
    return in_one_line(".".join(map(str, location)))
