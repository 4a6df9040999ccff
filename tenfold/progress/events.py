"""The events: frozen records whose fields are names and numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

PhaseName = Literal["download", "decode", "features", "validate", "score", "bootstrap", "corrupt", "report", "explain"]
Unit = Literal["bytes", "images", "resamples", "pictures", "rounds"]


@dataclass(frozen=True)
class Event:
    """Something that happened while Tenfold works."""


@dataclass(frozen=True)
class Notice(Event):
    """A sentence worth knowing, for people."""

    text: str


@dataclass(frozen=True)
class Advance(Event):
    """So much of a phase is done, from 0 to `total` of its unit; None: the total is not known."""

    phase: PhaseName
    done: int
    total: int | None
    unit: Unit


@dataclass(frozen=True)
class Training(Event):
    """A training begins: at most `epochs` epochs of all phases, `steps` steps in an epoch of the last phase.

    `run` is the path of the run directory.
    """

    recipe: str
    run: str
    epochs: int
    steps: int


@dataclass(frozen=True)
class Step(Event):
    """A step of an epoch (both from 1) is done; `loss` is the mean over its images."""

    epoch: int
    step: int
    steps: int
    loss: float


@dataclass(frozen=True)
class Epoch(Event):
    """An epoch is done; `record` is its row of `history.csv`."""

    record: Mapping[str, float]


@dataclass(frozen=True)
class Evaluating(Event):
    """The model of that epoch is being scored on a split."""

    split: str
    epoch: int


@dataclass(frozen=True)
class Finished(Event):
    """A run is complete."""

    run: str


def _name(kind: type[Event]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


EVENTS: dict[str, type[Event]] = {
    _name(kind): kind for kind in (Notice, Advance, Training, Step, Epoch, Evaluating, Finished)
}


def to_dict(event: Event) -> dict[str, Any]:
    """An event as plain JSON values, with its name under "event"."""
    return {"event": _name(type(event)), **asdict(event)}


def from_dict(values: Mapping[str, Any]) -> Event:
    """The event that `to_dict` turned into a mapping; other keys than its fields are ignored.

    Raises ValueError if it is none.
    """
    kind = EVENTS.get(str(values.get("event")))
    if kind is None:
        raise ValueError(f"event: received {values.get('event')!r}; expected one of {', '.join(EVENTS)}")
    fields = kind.__dataclass_fields__
    try:
        return kind(**{key: value for key, value in values.items() if key in fields})
    except TypeError as error:
        raise ValueError(f"event {values['event']}: {error}") from None
