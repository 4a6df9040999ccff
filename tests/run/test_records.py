"""Records: read like the mapping in the file, by name as well, and never changed."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest

from tenfold.errors import RunError
from tenfold.run import Environment, Metrics, Record, Run, SplitRecord, State, Status

METRICS = {"test": {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}, "count": 10}}


def test_a_record_reads_like_the_mapping_in_its_file() -> None:
    record = Metrics(METRICS)
    assert record["test"]["accuracy"]["value"] == 0.5
    assert record == METRICS
    assert json.loads(json.dumps(record)) == METRICS
    assert {**record} == METRICS


@pytest.mark.parametrize("change", [
    lambda r: r.update(x=1), lambda r: r.__setitem__("x", 1), lambda r: r["test"].pop("count"), lambda r: r.clear(),
    lambda r: r["test"]["accuracy"].__setitem__("value", 1.0), lambda r: r.setdefault("x", 1),
    lambda r: r.__delitem__("test"), lambda r: r.popitem(), lambda r: r.__ior__({"x": 1}),
])
def test_a_record_cannot_be_changed(change: object) -> None:
    record = Metrics(METRICS)
    with pytest.raises(TypeError, match="can't be changed"):
        change(record)  # type: ignore[operator]
    assert record == METRICS


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))])
def test_a_record_can_be_copied(copied: object) -> None:
    twin = copied(Metrics(METRICS))  # type: ignore[operator]
    assert type(twin) is Metrics
    assert twin == METRICS


def test_a_status_has_a_state_and_says_whether_the_run_can_resume() -> None:
    status = Status({"status": "stopped", "reason": "interrupted", "epochs": 2})
    assert status.state is State.STOPPED
    assert status["status"] == "stopped"
    assert status.reason == "interrupted"
    assert {state for state in State if state.can_resume} == {State.STOPPED, State.FAILED, State.DIED}


def test_a_run_cannot_write_the_state_died(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="died"):
        Run.create(tmp_path, "x").write_status(State.DIED)


def test_an_environment_record_has_named_facts() -> None:
    environment = Environment({"dataset": {
        "classes": ["a", "b"], "shape": [8, 8, 1], "fingerprint": "f00d",
        "splits": {"test": {"count": 5, "source": "official", "partial": True, "expected": 10}}}})
    assert environment.classes == ("a", "b")
    assert environment.shape == (8, 8, 1)
    assert environment.fingerprint == "f00d"
    assert environment.splits["test"].partial
    assert environment.splits["test"].expected == 10


def test_held_out_splits_are_recognised_in_runs_of_version_0_1() -> None:
    assert SplitRecord({"held_out": True, "source": "x"}).held_out
    assert not SplitRecord({"held_out": False, "source": "held out of train"}).held_out
    assert SplitRecord({"source": "held out of train (60 images)"}).held_out
    assert not SplitRecord({"source": "official test split"}).held_out


@pytest.mark.parametrize(("name", "content", "read", "words"), [
    ("status.json", {"status": "asleep"}, Run.status, "status: received 'asleep'; expected 'running', 'finished'"),
    ("status.json", {"status": ["running"]}, Run.status, "status: received "),
    ("status.json", {"status": "finished", "seconds": "3"}, Run.status, "seconds: received '3'; expected a"),
    ("environment.json", {"dataset": {}}, Run.environment, "missing dataset.classes, dataset.shape"),
    ("environment.json", {"dataset": []}, Run.environment, "dataset: received "),
    ("metrics.json", {"test": {}}, Run.metrics, "missing test.accuracy"),
    ("metrics.json", {"test": {"accuracy": {"value": "high"}}}, Run.metrics, "test: accuracy.value: received 'high'"),
    ("metrics.json", {"test": {**METRICS["test"], "loss": 3}}, Run.metrics, "test: loss: received 3; "),
    ("metrics.json", {"test": {"accuracy": {"value": 10**400}}}, Run.metrics, "test: accuracy.value: received 1000"),
    ("metrics.json", {"a\nb": []}, Run.metrics, r"a\?b: received \[\]"),
    ("metrics.json", {"test": {**METRICS["test"], "confusion_matrix": [[1, 2], [3]]}}, Run.metrics, "test: the rows"),
    ("scored.json", {"test": "often"}, Run.times_scored, "test: received 'often'; expected a valid integer"),
    ("scored.json", {"test": -1}, Run.times_scored, "test: received -1; expected greater than or equal to 0"),
    ("calibration.json", {"temperature": 1}, Run.calibration, "missing before, after"),
    ("calibration.json", {"temperature": 0, "before": {}, "after": {}}, Run.calibration, "temperature: received 0; "),
    ("calibration.json", {"temperature": 1, "before": {"test": {}}, "after": {}}, Run.calibration, "missing before"),
    ("corruptions.json", {"count": 1, "clean": {"value": 1}, "mean": {"value": 1}, "corruptions": {"blur": {}}},
     Run.corruptions, "missing corruptions.blur.title"),
    ("inference.json", {}, Run.speed, "missing images_per_second"),
    ("inference.json", {"images_per_second": True, "threads": 1, "processor": ""}, Run.speed, "images_per_second: "),
])
def test_an_invalid_record_file_is_reported(
    name: str, content: Record, read: object, words: str, tmp_path: Path
) -> None:
    run = Run.create(tmp_path, "x")
    run.write_json(name, content)
    with pytest.raises(RunError, match=rf"^\S+{name}: damaged \({words}[^\n]*$"):
        read(run)  # type: ignore[operator]
