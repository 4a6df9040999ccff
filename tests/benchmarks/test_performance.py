"""The page says what the results say, and no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.performance import FIGURES, page
from benchmarks.time_to_accuracy import PEER

ORIGIN = {
    "machine": {"processor": "P", "units": ["AVX2"], "cores": 2, "precision": "bfloat16"},
    "versions": {"keras": "3", "torch": "2"}, "date": "2026-01-01", "command": "python -m benchmarks.…",
}


def span(median: float) -> dict[str, float]:
    return {"median": median, "low": median - 0.01, "high": median + 0.01, "n": 3}


def write(folder: Path, name: str, **result: Any) -> None:
    (folder / f"{name}.json").write_text(json.dumps({**result, **ORIGIN}))


def row(text: str, figure: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {figure}"))
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_without_results_every_figure_is_not_measured(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert text.count("| not measured | |") == len(FIGURES)
    assert text.count("\nNot measured.\n") == 13


def test_a_figure_is_compared_with_its_target(tmp_path: Path) -> None:
    peer = {"images_per_second": 400.0, "peak_memory_mib": 512.0}
    ours = {"images_per_second": 1400.0, "peak_memory_mib": 1024.0, "data_share": span(0.03)}
    write(tmp_path, "throughput-B", network="B", batch=128, tenfold=ours, **{
        "keras-tensorflow-float32": {**peer, "tenfold_ratio": span(3.5), "versions": {"tensorflow": "2.21"}},
        "keras-tensorflow-mixed_bfloat16": {**peer, "tenfold_ratio": span(1.39)},
        "keras-jax-float32": {"absent": "no wheel"},
    })
    text = page(tmp_path)
    assert row(text, "network B, batch 128: images per second ÷ those of Keras' `fit` on TensorFlow, float32")[2:] == [
        "3.50 (3.49 to 3.51, n = 3)", "yes"]
    assert row(text, "network B, batch 128: images per second ÷ those of Keras' `fit` on TensorFlow, mixed")[3] == "no"
    assert row(text, "fraction of a step spent on data")[2] == "not measured"  # network A is missing
    assert "| tenfold | 1,400 |  | 1.00 GiB |" in text
    assert "| keras-jax-float32 | absent: no wheel | | |" in text
    assert "keras 3, tensorflow 2.21, torch 2; 2026-01-01" in text


def recipe(ratio: float, *accuracies: float, rounds: int = 3) -> dict[str, Any]:
    reached = [{"accuracy": {"mean": value, "sd": None, "n": 1}} for value in accuracies] or [{}, {}]
    ours, theirs = ({"seconds": span(10.0), **accuracy} for accuracy in reached)
    return {"epochs": span(8), "epochs_timed": span(2), "tenfold": ours, PEER: theirs,
            "ratio": {**span(ratio), "n": rounds}, "command": ORIGIN["command"]}


def test_recipes_must_all_be_fast_enough_and_no_less_accurate(tmp_path: Path) -> None:
    figure = "the ten recipes"
    recipes = {f"r{i}": {"timed": recipe(0.3), "full": recipe(0.5, 0.71, 0.70, rounds=1)} for i in range(10)}
    write(tmp_path, "recipes", recipes=recipes)
    assert row(page(tmp_path), figure)[2:] == [
        "0.30 to 0.30, target met by 10 of 10; accuracy compared for 10, lower for none", "yes"]
    recipes["r0"]["full"] = recipe(0.3, 0.70, 0.72)
    recipes["r1"] = {"timed": recipe(0.41)}
    recipes["r3"] = {"timed": recipe(0.41), "full": recipe(0.35, 0.7, 0.7)}  # as many rounds: the one in full counts
    recipes["r2"] = {"full": {"absent": "no translation", "command": ORIGIN["command"]}}
    write(tmp_path, "recipes", recipes=recipes)
    text = page(tmp_path)
    assert row(text, figure)[2:] == [
        "0.30 to 0.41, target met by 8 of 10; accuracy compared for 8, lower for `r0`", "no"]
    assert "| `r2` | absent: no translation |" in text
    assert "| 70.0 % (n = 1) | 72.0 % (n = 1) |" in text


def test_a_smoke_run_meets_no_target(tmp_path: Path) -> None:
    peer = {"pytorch-bfloat16": {"tenfold_ratio": span(9.0)}}
    write(tmp_path, "throughput-A", network="A", batch=8, tenfold={}, **peer)
    write(tmp_path, "memory", recipes={"mlp": {"peak_memory_mib": 500.0}}, data="digits", batch=500)
    assert "| yes |" not in page(tmp_path)


def test_a_large_split_meets_its_target_only_at_the_required_size(tmp_path: Path) -> None:
    figure, mapped = "images/s on a mapped split", {"anonymous_mib": 1024.0}
    write(tmp_path, "large-split", gib=10.0, limit_gib=1.0, ratio=span(0.95), mapped=mapped)
    assert row(page(tmp_path), figure)[2:] == ["0.95 (0.94 to 0.96, n = 3); 1.00 GiB held at most", "yes"]
    write(tmp_path, "large-split", gib=10.0, limit_gib=1.0, ratio=span(0.89), mapped=mapped)
    assert row(page(tmp_path), figure)[3] == "no"
    write(tmp_path, "large-split", gib=9.0, limit_gib=1.0, ratio=span(0.95), mapped=mapped)
    assert row(page(tmp_path), figure)[2] == "not measured"


def test_the_accuracy_of_speed_is_shown_with_and_without_augmented_views(tmp_path: Path) -> None:
    reached = {"mean": 0.9412, "sd": 0.003, "n": 5}
    ours = {"accuracy": reached, "single_view_accuracy": {**reached, "mean": 0.93}}
    write(tmp_path, "speed", recipe="speed", ratio=span(0.45), tenfold=ours)
    text = page(tmp_path)
    assert row(text, "`speed`: seconds")[3] == "yes"
    assert row(text, "`speed`: accuracy")[2:] == [
        "94.1 % ± 0.3 (n = 5); from a single view 93.0 % ± 0.3 (n = 5)", "yes"]
