"""The table of families and formats shows what was measured."""

from __future__ import annotations

from benchmarks import exports


def test_the_table_has_a_row_for_each_export() -> None:
    made = {"bytes": 2_500_000, "images": 100, "largest": 3e-7, "same": 1.0, "accuracy": -0.5, "low": -1.2, "high": 0.1}
    speeds = [{"batch": 1, "p50": 0.512}, {"batch": 64, "images_per_second": 4321.0}]
    results = {
        "families": {"mlp": {
            "exports": {"onnx": made, "torch": {**made, "accuracy": 0.0, "low": None},
                        "openvino": {"error": "no such"}},
            "runtimes": {"onnx": {"speeds": speeds}},
        }},
    }
    lines = exports.table(results).splitlines()
    assert lines[2] == "| mlp | onnx | 3e-07 | 100.0 % | -0.5 [-1.2, +0.1] | 2.5 | 4,321 | 0.51 |"
    assert lines[3] == "| mlp | torch | 3e-07 | 100.0 % | +0.0 [-3.7, +3.7] | 2.5 | – | – |"
    assert lines[4] == "| mlp | openvino | no such | | | | | |"


def test_formats_whose_tools_are_missing_are_named_below_the_table() -> None:
    exported = {"litert": {"missing": "the format litert: the package litert_torch is not installed"}}
    results = {"families": {"mlp": {"exports": exported, "runtimes": {}}}}
    shown = exports.table(results)
    assert "| mlp |" not in shown
    assert "Not measured, because its tools were not installed: litert." in shown
