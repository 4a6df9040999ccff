"""What the JSON files of a run hold, as frozen records.

A record is read like the mapping that the file holds (`run.metrics()["test"]["accuracy"]["value"]`), and its facts by
name as well (`run.status().state`). It can't be changed; `dict(record)` can.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NoReturn, Self


class Record(dict[str, Any]):
    """A mapping of plain JSON values that can't be changed; the mappings in it are records too."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__({key: _frozen(value) for key, value in values.items()})

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} can't be changed; change dict(…) of it")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[Self], tuple[dict[str, Any]]]:
        return type(self), (dict(self),)

    @classmethod
    def fault(cls, values: Mapping[str, Any]) -> str | None:
        """Why the content of a file is no such record, in words; None if it is one."""
        return None


def _frozen(value: Any) -> Any:
    return Record(value) if isinstance(value, Mapping) and not isinstance(value, Record) else value


class State(StrEnum):
    """What a run is now. A run that says "running" and that no process writes any more has died."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    DIVERGED = "diverged"
    FAILED = "failed"
    PRUNED = "pruned"
    DIED = "died"

    @property
    def can_resume(self) -> bool:
        """Whether the training was interrupted and can go on."""
        return self in (State.STOPPED, State.FAILED, State.DIED)


class Status(Record):
    """`status.json`: what the run is, why, and how far it came."""

    @classmethod
    def fault(cls, values: Mapping[str, Any]) -> str | None:
        known = values.get("status") in [state.value for state in State]
        return None if known else f"its status is {values.get('status')!r}"

    @property
    def state(self) -> State:
        return State(self["status"])

    @property
    def reason(self) -> str:
        """Why it is so; empty where there is nothing to say."""
        return str(self.get("reason") or "")

    @property
    def seconds(self) -> float | None:
        """How long the epochs of a finished training took."""
        return self.get("seconds")


class SplitRecord(Record):
    """A split as the run recorded it."""

    @property
    def count(self) -> int:
        return int(self.get("count", 0))

    @property
    def source(self) -> str:
        """Where its images come from, in words."""
        return str(self.get("source", "unknown"))

    @property
    def expected(self) -> int | None:
        """How many images the official split has, where that is known."""
        return self.get("expected")

    @property
    def partial(self) -> bool:
        """Whether images of the official split are missing."""
        return bool(self.get("partial"))

    @property
    def held_out(self) -> bool:
        """Whether the recipe held it out of the training images; the first runs say so in words alone."""
        return bool(self.get("held_out", self.source.startswith("held out of train")))


class Environment(Record):
    """`environment.json`: versions, machine, precision, seed, model size, and the data set."""

    @classmethod
    def fault(cls, values: Mapping[str, Any]) -> str | None:
        dataset = values.get("dataset")
        whole = isinstance(dataset, Mapping) and {"classes", "fingerprint", "shape", "splits"} <= dataset.keys()
        return None if whole else "it does not describe the data set"

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the labels."""
        return tuple(self["dataset"]["classes"])

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of the images."""
        return tuple(self["dataset"]["shape"])

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the data set, in hex."""
        return str(self["dataset"]["fingerprint"])

    @property
    def splits(self) -> dict[str, SplitRecord]:
        """The splits by name, in the order train, validation, test."""
        return {name: SplitRecord(facts) for name, facts in self["dataset"]["splits"].items()}


class Metrics(Record):
    """`metrics.json`: split → metric → {"value", "low", "high"}, and "per_class", "confusion_matrix", "count", …"""

    @classmethod
    def fault(cls, values: Mapping[str, Any]) -> str | None:
        whole = all(isinstance(of, Mapping) and isinstance(of.get("accuracy"), Mapping) for of in values.values())
        return None if whole else "a split has no accuracy"


class Calibration(Record):
    """`calibration.json`: the "temperature", what it is "fitted_on", the metrics "before" and "after" by split."""

    @classmethod
    def fault(cls, values: Mapping[str, Any]) -> str | None:
        return _lacking(values, "temperature", "before", "after")


class Corruptions(Record):
    """`corruptions.json`: accuracy on corrupted images, by corruption and severity."""

    @classmethod
    def fault(cls, values: Mapping[str, Any]) -> str | None:
        return _lacking(values, "count", "clean", "corruptions", "mean")


class Speed(Record):
    """`inference.json`: how many images a second the model classifies, and on what."""

    @classmethod
    def fault(cls, values: Mapping[str, Any]) -> str | None:
        return _lacking(values, "images_per_second", "threads", "processor")


def _lacking(values: Mapping[str, Any], *keys: str) -> str | None:
    missing = [key for key in keys if key not in values]
    return f"it lacks {', '.join(missing)}" if missing else None
