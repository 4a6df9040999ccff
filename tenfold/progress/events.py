"""The events: frozen dataclasses whose fields are plain values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

PhaseName = Literal["download", "decode", "features", "validate", "score", "learning_curve", "bootstrap", "corrupt",
                    "report", "explain", "bench", "decide", "inspect", "map"]
Unit = Literal["bytes", "images", "resamples", "pictures", "rounds", "classifiers"]


@dataclass(frozen=True)
class Event:
    """Something that happened while Tenfold works."""


@dataclass(frozen=True)
class Notice(Event):
    """A message for the user."""

    text: str


@dataclass(frozen=True)
class Advance(Event):
    """Progress of a phase: `done` of `total` units; a `total` of None means that it is unknown."""

    phase: PhaseName
    done: int
    total: int | None
    unit: Unit


@dataclass(frozen=True)
class Training(Event):
    """Training starts.

    epochs: the most epochs that it takes, in all phases; steps: steps per epoch in the last phase; run: path of the
    run directory.
    """

    recipe: str
    run: str
    epochs: int
    steps: int


@dataclass(frozen=True)
class Step(Event):
    """A training step is done. `epoch` and `step` count from 1; `loss` is the mean over the images of the step."""

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
    """The evaluation of the model of `epoch` on a split starts."""

    split: str
    epoch: int


@dataclass(frozen=True)
class Ended(Event):
    """A training ended; `status` is the status of its run: "finished", "stopped", "diverged" or "failed"."""

    run: str
    status: str


def _name(kind: type[Event]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


EVENTS: dict[str, type[Event]] = {
    _name(kind): kind for kind in (Notice, Advance, Training, Step, Epoch, Evaluating, Ended)
}


def to_dict(event: Event) -> dict[str, Any]:
    """An event as plain JSON values, with its name under "event"."""
    return {"event": _name(type(event)), **asdict(event)}


def from_dict(values: Mapping[str, Any]) -> Event:
    """The event in a mapping made by `to_dict`; unknown keys are ignored.

    Raises ValueError if the event is unknown or a field is missing.
    """
    kind = EVENTS.get(str(values.get("event")))
    if kind is None:
        raise ValueError(f"event: received {values.get('event')!r}; expected one of {', '.join(EVENTS)}")
    fields = kind.__dataclass_fields__
    try:
        return kind(**{key: value for key, value in values.items() if key in fields})
    except TypeError as error:
        raise ValueError(f"event {values['event']}: {error}") from None
