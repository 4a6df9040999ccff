"""The main job in two minutes, offline: three small models on real handwritten digits, compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenfold import pipeline
from tenfold.comparison import Leaderboard, compare, write_html
from tenfold.recipe import Recipe

RECIPES: dict[str, dict[str, Any]] = {
    "demo-mlp": {
        "model": {"name": "mlp", "hidden": [128], "dropout": 0.2},
        "train": {"epochs": 20, "batch_size": 64},
    },
    "demo-cnn": {
        "model": {"name": "cnn", "filters": [32, 64], "dense": [64]},
        "train": {"epochs": 15, "batch_size": 64},
    },
    "demo-cnn-augmented": {
        "model": {"name": "cnn", "filters": [32, 64], "dense": [64], "dropout": 0.1, "dense_dropout": 0.3},
        "train": {"epochs": 30, "batch_size": 64, "augment": {"translate": {"pixels": 1}, "rotate": {"degrees": 10}}},
    },
}


@dataclass(frozen=True)
class Demo:
    """The leaderboard's rows, best first, and the page that shows them."""

    rows: Leaderboard
    page: Path


def demo(runs: Path, watcher: pipeline.Watcher | None = None) -> Demo:
    """Train, evaluate and compare three small models on `digits` in `runs`, and write a comparison page."""
    data = {"source": "digits", "validation": 0.1, "test": 0.25}
    made = [
        pipeline.train(Recipe.from_dict({"data": data, **sections}, name=name), runs=runs, watcher=watcher)
        for name, sections in RECIPES.items()
    ]
    rows = compare(made)
    page = runs / "demo-comparison.html"
    write_html(rows, page)
    return Demo(rows, page)
