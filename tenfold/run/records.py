"""The JSON files of a run as immutable records.

A record is a mapping with the content of the file (`run.metrics()["test"]["accuracy"]["value"]`), with properties for
common values (`run.status().state`). A record can't be changed, though lists in it can. To change a copy, use
`dict(record)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar, NoReturn, Self

from pydantic import BaseModel

from tenfold.decisions.record import Decisions as Content
from tenfold.run import contents


class Record(dict[str, Any]):
    """An immutable mapping of plain JSON values; nested mappings are records too."""

    content: ClassVar[type[BaseModel]]  # what the file of a record must contain

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__({key: _frozen(value) for key, value in values.items()})

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} can't be changed; change a copy made with dict(…)")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, Any]]]:
        return type(self), (dict(self),)

    @classmethod
    def fault(cls, values: Mapping[str, Any]) -> str | None:
        """What is wrong with the content of a file; None if it is valid."""
        return contents.fault(cls.content, values)


def _frozen(value: Any) -> Any:
    return Record(value) if isinstance(value, Mapping) and not isinstance(value, Record) else value


class State(StrEnum):
    """The state of a run. "died" means that `status.json` says "running" but no process is writing the run."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    DIVERGED = "diverged"
    FAILED = "failed"
    PRUNED = "pruned"
    DIED = "died"

    @property
    def can_resume(self) -> bool:
        """Whether the training was interrupted and can be resumed."""
        return self in (State.STOPPED, State.FAILED, State.DIED)


class Status(Record):
    """`status.json`: the state of the run, the reason and the number of epochs."""

    content = contents.Status

    @property
    def state(self) -> State:
        return State(self["status"])

    @property
    def reason(self) -> str:
        """The reason for the state; empty if there is none."""
        return str(self.get("reason") or "")

    @property
    def seconds(self) -> float | None:
        """Duration of all epochs of a finished training, in seconds."""
        return self.get("seconds")


class SplitRecord(Record):
    """A split as recorded by the run."""

    @property
    def count(self) -> int:
        return int(self.get("count", 0))

    @property
    def source(self) -> str:
        """Where its images come from, in words."""
        return str(self.get("source", "unknown"))

    @property
    def expected(self) -> int | None:
        """The number of images in the official split, if known."""
        return self.get("expected")

    @property
    def partial(self) -> bool:
        """Whether images of the official split are missing."""
        return bool(self.get("partial"))

    @property
    def held_out(self) -> bool:
        """Whether the recipe held it out of the training images; the oldest runs say so only in `source`."""
        return bool(self.get("held_out", self.source.startswith("held out of train")))


class Environment(Record):
    """`environment.json`: versions, machine, precision, seed, model size, and the data set."""

    content = contents.Environment

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the labels."""
        return tuple(self["dataset"]["classes"])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images."""
        height, width, channels = self["dataset"]["shape"]
        return height, width, channels

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the data set, in hex."""
        return str(self["dataset"]["fingerprint"])

    @property
    def splits(self) -> dict[str, SplitRecord]:
        """The splits by name, in the order train, validation, calibration, test."""
        return {name: SplitRecord(facts) for name, facts in self["dataset"]["splits"].items()}


class Metrics(Record):
    """`metrics.json`: split → metric → {"value", "low", "high"}, and "per_class", "confusion_matrix", "count", …"""

    content = contents.Metrics


class Times(Record):
    """`scored.json`: split → how often the run was scored on it."""

    content = contents.Times


class Calibration(Record):
    """`calibration.json`: "temperature", the split it is "fitted_on", the metrics "before" and "after" by split."""

    content = contents.Calibration


class Decisions(Record):
    """`decisions.json`: the decision rules of the model, and how they did on the test split ("tested")."""

    content = Content


class Distilled(Record):
    """`distillation.json`: the "teacher" of a run, the parameters of both, and the "test" against the teacher."""

    content = contents.Distilled


class Ensemble(Record):
    """`ensemble.json`: the "members", their "cost" as a multiple of the best one's, and the "test" against that one.

    "folds": how many, if the members are the runs of one cross-validation, in the order of their folds; else 0.
    """

    content = contents.Ensemble


class LearningCurve(Record):
    """`learning_curve.json`: accuracy by number of training images ("points"), and with twice as many ("doubled")."""

    content = contents.LearningCurve


class Corruptions(Record):
    """`corruptions.json`: accuracy on corrupted images, by corruption and severity."""

    content = contents.Corruptions


class Speed(Record):
    """`inference.json`: the images per second that the model classifies, with processor and threads."""

    content = contents.Speed
