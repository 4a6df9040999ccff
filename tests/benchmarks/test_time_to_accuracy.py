"""Seconds are counted and scaled as stated, and a recipe's translation into plain Keras trains."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.programs import tenfold_recipe
from benchmarks.side_by_side import PROGRAMS, ROOT
from benchmarks.time_to_accuracy import PEER, RECIPES, compare_recipe, compare_speed, scaled
from tenfold.recipe import Recipe, shipped

SMALL = {"data.source": "shapes:train=300,test=60", "train.batch_size": 50, "train.epochs": 2,
         "train.augment.mirror": False}


def test_untrained_epochs_count_as_the_median_of_the_later_epochs() -> None:
    assert scaled([10.0, 4.0, 5.0, 9.0], epochs=6) == 28 + 2 * 5
    assert scaled([10.0], epochs=3) == 30
    assert scaled([10.0, 4.0], epochs=None) == 14


def test_speed_is_relative_to_the_reference_rate_measured_before_and_after() -> None:
    trained = [{"epoch_seconds": seconds, "peak_memory_mib": 900.0, "accuracy": accuracy, "single_view_accuracy": 0.9}
               for seconds, accuracy in (([60.0, 40.0], 0.95), ([50.0, 50.0], 0.93))]
    result = compare_speed(trained, rates=[1000.0, 3000.0, 1000.0])
    assert result["ratio"] == {"median": 0.5, "low": 0.5, "high": 0.5, "n": 2}
    assert result["tenfold"]["accuracy"]["mean"] == 0.94
    assert result["tenfold"]["accuracy"]["sd"] == pytest.approx(0.01414, abs=1e-5)


def test_accuracies_are_shown_only_for_full_trainings() -> None:
    ours = [{"epoch_seconds": [2.0, 1.0], "accuracy": 0.7}]
    theirs = [{"epoch_seconds": [6.0, 4.0], "accuracy": 0.6}]
    full, timed = compare_recipe(ours, theirs, None), compare_recipe(ours, theirs, 4)
    assert full["ratio"]["median"] == 0.3
    assert full[PEER]["accuracy"]["mean"] == 0.6
    assert timed["ratio"]["median"] == pytest.approx(5 / 18, abs=1e-3)
    assert "accuracy" not in timed["tenfold"]


def test_the_ten_recipes_are_shipped_and_have_a_translation() -> None:
    assert set(RECIPES) <= set(shipped())
    assert len(RECIPES) == 10
    for name in RECIPES:
        tenfold_recipe.check_translation(Recipe.load(name))


def test_a_recipe_without_translation_is_refused() -> None:
    recipe = Recipe.load("mlp", {"train.augment.mixup": True, "train.label_smoothing": 0.1})
    with pytest.raises(SystemExit, match="mlp: no translation into plain Keras for label_smoothing, mixup"):
        tenfold_recipe.check_translation(recipe)


@pytest.mark.parametrize("name", ["cifar-cnn", "cnn3-plateau"])
def test_a_translated_recipe_trains_without_tenfold(name: str, tmp_path: Path) -> None:
    facts = tenfold_recipe.write_job(Recipe.load(name, SMALL), tmp_path)
    assert facts == {"images": 270, "epochs": 2}
    program = [sys.executable, str(PROGRAMS / "keras_recipe.py"), str(tmp_path), "--epochs", "2"]
    done = subprocess.run(program, env={**os.environ, "KERAS_BACKEND": "torch"}, cwd=tmp_path, check=True,
                          capture_output=True, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    assert len(result["epoch_seconds"]) == 2
    assert min(result["epoch_seconds"]) > 0
    assert 0 <= result["accuracy"] <= 1


def test_a_recipe_is_timed_by_epochs(tmp_path: Path) -> None:
    result = tenfold_recipe.train(Recipe.load("mlp", SMALL), tmp_path)
    assert len(result["epoch_seconds"]) == 2
    assert result["accuracy"] == result["single_view_accuracy"]


def test_a_small_measurement_of_the_time_to_an_accuracy_runs(tmp_path: Path) -> None:
    target = tmp_path / "speed.json"
    command = [sys.executable, "-m", "benchmarks.time_to_accuracy", "speed", "--recipe", "mlp", "--smoke", "--json",
               str(target)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    result = json.loads(target.read_text())
    assert result["ratio"]["median"] > 0
    assert result["tenfold"]["accuracy"]["n"] == 1
    assert result["pytorch-bfloat16"]["images_per_second"]["n"] == 2
