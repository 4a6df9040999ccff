"""The figures with targets are taken from the rounds, and only int8 models that are good enough count."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import inference
from benchmarks.inference import BACKBONE, CNN


def speeds(one: float, many: float) -> dict[int, dict[str, float]]:
    return {1: {"images_per_second": 1000 / one, "p50": one}, 64: {"images_per_second": many, "p50": 64000 / many}}


def figures(narrow: dict[str, Any], absent: str = "") -> dict[str, Any]:
    rounds = [{"onnx": speeds(0.8, 2000), "openvino": speeds(0.9, 3000), "onnx int8": speeds(0.7, 4000),
               "openvino int8": speeds(0.7, 6000)} for _ in range(3)]
    keras = [] if absent else [{"images_per_second": 1000.0}] * 3
    return inference._figures({CNN: rounds, BACKBONE: rounds}, {CNN: keras, BACKBONE: keras}, {CNN: narrow}, absent)


def targets(found: dict[str, Any]) -> list[dict[str, Any]]:
    folders = {name: {"to_keras": {"int8": {"median": ratio}}} for name, ratio in (("32×32", 3.1), ("640×480", 2.9))}
    return inference.targets({"runtimes": {"figures": found}, "folder": folders})


def test_ratios_are_of_the_fastest_runtimes() -> None:
    found = figures({"onnx": {"accuracy": -0.1}, "openvino": {"accuracy": -0.2}})
    assert found["fastest_runtime_to_keras"] == {"median": 6.0, "low": 6.0, "high": 6.0, "n": 3}
    assert found["fastest_float32_runtime_to_keras"]["median"] == 3
    assert found["int8_to_float32"]["openvino"]["median"] == 2
    assert found["one_image_p50_ms"]["median"] == 0.8
    assert [target["met"] for target in targets(found)] == [True] * 5 + [False] * 3


def test_an_int8_model_that_lost_too_much_does_not_count() -> None:
    found = figures({"onnx": {"accuracy": -0.1}, "openvino": {"error": "int8 changes the accuracy by -1.00 points"}})
    assert found["fastest_runtime_to_keras"]["median"] == 4
    assert set(found["int8_to_float32"]) == {"onnx"}
    assert not targets(found)[0]["met"]


def test_without_tensorflow_the_ratio_is_absent() -> None:
    found = figures({}, absent="no such environment")
    assert found["fastest_runtime_to_keras"] == {"absent": "no such environment"}
    assert targets(found)[0] == pytest.approx({"what": "cifar-cnn: fastest runtime ÷ Keras on TensorFlow",
                                                 "target": "≥ 5", "measured": None, "met": False})
