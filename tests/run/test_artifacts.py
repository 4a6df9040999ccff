"""The table of artifacts: everything in a run is in it, and what is stale follows from it."""

from __future__ import annotations

from pathlib import Path

import tenfold
from tenfold.recipe import Recipe
from tenfold.run import ARTIFACTS, stale_after

RUNS = Path(__file__).parents[2] / "docs" / "runs.md"


def test_each_artifact_is_derived_from_earlier_ones() -> None:
    known: set[str] = set()
    for name, artifact in ARTIFACTS.items():
        assert set(artifact.derived_from) <= known, name
        known.add(name)


def test_a_new_model_makes_all_results_of_the_old_one_stale() -> None:
    stale = set(stale_after("model"))
    assert {"metrics.json", "predictions/*", "calibration.json", "corruptions.json", "inference.json", "plots/*",
            "report.html", "MODEL_CARD.md", "model.h5", "explanations/*/*", "learning_curve.json",
            "exports/*", "decisions.json", "ensemble.json", "distillation.json", "drift/*", "next/*",
            "bench/*"} == stale


def test_new_predictions_do_not_make_the_model_stale() -> None:
    assert {"model.keras", "model.h5", "inference.json", "corruptions.json"}.isdisjoint(stale_after("predictions"))
    assert "metrics.json" in stale_after("predictions")


def test_the_table_and_the_documentation_list_every_file_of_a_run(tmp_path: Path) -> None:
    recipe = Recipe.from_dict({"data": {"source": "shapes:train=100,test=30"}, "model": {"name": "mlp", "hidden": [4]},
                               "train": {"epochs": 1, "batch_size": 20}}, name="x")
    run = tenfold.train(recipe, runs=tmp_path, csv=True, h5=True)
    tenfold.evaluate(run, calibrate=True)
    known = {path for artifact in ARTIFACTS.values() for path in run.path.glob(artifact.pattern)}
    known |= {inner for path in known if path.is_dir() for inner in path.rglob("*")}
    assert {path for path in run.path.rglob("*") if path.is_file()} <= known
    text = RUNS.read_text(encoding="utf-8")
    assert not [a.pattern for a in ARTIFACTS.values() if a.pattern.partition("*")[0] not in text]
