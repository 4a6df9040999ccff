"""The content of `decisions.json`: what the file and the copy of its rules in a model must contain."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Number = Annotated[float, Field(ge=-1e300, le=1e300)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Inside = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=0, le=1 << 53)]


class Part(BaseModel):
    """A part of the content; keys of later versions are allowed."""

    model_config = ConfigDict(strict=True)


class Fitted(Part):
    """The images that the rules were fitted on; reason: why nothing is guaranteed, empty if it is."""

    split: str
    images: Count
    reason: str = ""


class SetRule(Part):
    """Prediction sets of one level and method; by_class: a threshold for each class."""

    level: Inside
    method: Literal["lac", "aps"]
    threshold: Number
    by_class: list[Number]
    guaranteed: list[bool]


class FoldSets(Part):
    """Prediction sets of one level and method, fitted over folds; promised: what the level is guaranteed to hold."""

    level: Inside
    method: Literal["lac", "aps"]
    promised: Fraction


class FoldRule(Part):
    """Prediction sets of the ensemble of a cross-validation; scores: of each method, those of each fold, ascending."""

    images: list[Annotated[int, Field(ge=1)]]
    sets: list[FoldSets]
    scores: dict[Literal["lac", "aps"], list[list[Fraction]]] = {}


class Refused(Part):
    """A level that too few images can't hold."""

    level: Inside
    needed: Count


class Accepted(Part):
    """The rule that accepts answers; threshold: None if the images support none; then supported: the highest accuracy
    that they do support, None in rules of earlier versions.
    """

    accuracy: Inside
    threshold: Fraction | None
    images: Count
    answered: Count
    wrong: Count
    needed: Count
    supported: Fraction | None = None


class PackedArray(Part):
    """An array as `packed.pack` writes it."""

    shape: Annotated[list[Count], Field(max_length=3)]
    scale: Number
    float16: str


class PixelRule(Part):
    """Which pixels are usual; see `pixels.Usual`."""

    limit: Annotated[float, Field(ge=0, le=1e300)]
    weight: Annotated[float, Field(ge=0, le=1e300)]
    arrays: dict[str, PackedArray] = {}


class UnknownRule(Part):
    """The rule that finds unknown images; auroc: how well each score found left-out classes, empty if it was not tried;
    pixels: None in rules of earlier versions.
    """

    score: str
    threshold: Number
    false_rejects: Inside
    auroc: dict[str, Number] = {}
    arrays: dict[str, PackedArray] = {}
    pixels: PixelRule | None = None


class Interval(Part):
    """A value with its 95 % interval."""

    value: Number
    low: Number | None
    high: Number | None


class TestedSets(Part):
    """How prediction sets did: the fraction that hold the true class, and their mean size."""

    level: Inside
    method: str
    by_class: bool
    coverage: Interval
    size: Number
    lowest: Number | None = None


class TestedCurve(Part):
    """Accuracy against the fraction answered, with the interval of each accuracy."""

    fraction: list[Fraction]
    accuracy: list[Fraction]
    low: list[Fraction]
    high: list[Fraction]

    @model_validator(mode="after")
    def _of_one_length(self) -> TestedCurve:
        if len({len(values) for values in (self.fraction, self.accuracy, self.low, self.high)}) > 1:
            raise ValueError("the lists are not of one length")
        return self


class Example(Part):
    """An image of the test split that is not accepted."""

    index: Count
    decision: str


class Tested(Part):
    """How the rules did on the test split. Nothing was chosen by it."""

    images: Count
    accuracy: Interval
    sets: list[TestedSets]
    curve: TestedCurve
    area: Interval
    accepted: Interval
    accepted_accuracy: Interval | None
    unknown: Interval | None
    examples: list[Example] = []


class Decisions(Part):
    """`decisions.json`; in a model, the same without "tested"."""

    version: Count
    fitted: Fitted
    temperature: Annotated[float, Field(gt=0, le=1e300)]
    sets: list[SetRule]
    folds: FoldRule | None = None
    refused: list[Refused]
    accepted: Accepted
    unknown: UnknownRule | None
    unknown_refused: str = ""
    tested: Tested | None = None


def check(content: Any, classes: int) -> Decisions:
    """The content, validated for that many classes. Raises ValueError (pydantic's ValidationError is one)."""
    found = Decisions.model_validate(content)
    for rule in found.sets:
        if len(rule.by_class) != classes or len(rule.guaranteed) != classes:
            raise ValueError(f"thresholds for {len(rule.by_class)} classes, expected {classes}")
    return found
