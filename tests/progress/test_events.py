"""Events are plain values: they go through JSON and back."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError

import pytest

from tenfold.progress import (
    EVENTS,
    SILENT,
    Advance,
    Ended,
    Epoch,
    Evaluating,
    Notice,
    Step,
    Together,
    Training,
    Watcher,
    from_dict,
    to_dict,
)
from tenfold.progress.lines import LABELS

EXAMPLES = [
    Notice("train: 10 images"), Advance("download", 5, None, "bytes"), Advance("score", 5, 10, "images"),
    Training("mlp", "runs/mlp-1", 3, 10), Step(1, 2, 10, 0.5), Epoch({"epoch": 1, "loss": 0.5}),
    Evaluating("test", 2), Ended("runs/mlp-1", "finished"),
]


def test_there_is_an_example_of_every_event() -> None:
    assert {type(event) for event in EXAMPLES} == set(EVENTS.values())


@pytest.mark.parametrize("event", EXAMPLES, ids=repr)
def test_an_event_goes_through_json_and_back(event: Notice) -> None:
    assert from_dict(json.loads(json.dumps(to_dict(event)))) == event
    with pytest.raises(FrozenInstanceError):
        event.text = "changed"  # type: ignore[misc]


@pytest.mark.parametrize("values", [{}, {"event": "party"}, {"event": "step", "epoch": 1}], ids=str)
def test_invalid_events_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="event"):
        from_dict(values)


def test_combined_watchers_all_receive_events_and_any_can_stop() -> None:
    class Stop(Watcher):
        def __init__(self) -> None:
            self.heard: list[object] = []

        def on(self, event: object) -> None:
            self.heard.append(event)

        def stop(self) -> bool:
            return len(self.heard) > 1

    first, second = Stop(), Stop()
    both = Together([SILENT, first, second])
    both.notice("one")
    assert not both.stop()
    with pytest.raises(KeyboardInterrupt):
        both.advance("score", 1, 2, "images")
    assert first.heard == second.heard == [Notice("one"), Advance("score", 1, 2, "images")]


def test_every_phase_has_a_description() -> None:
    from typing import get_args

    from tenfold.progress.events import PhaseName

    assert set(LABELS) == set(get_args(PhaseName))
