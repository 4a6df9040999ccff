"""Small searches on handwritten digits, for the tests of the search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold.recipe import Recipe
from tenfold.search.space import Space
from tenfold.search.tuning import Found

START = Recipe.from_dict({
    "data": {"source": "digits", "validation": 200}, "model": {"name": "mlp", "hidden": [8]},
    "train": {"epochs": 3, "batch_size": 64, "learning_rate": 1e-3}}, name="small")
SPACE = Space.loads("""
[search]
"train.learning_rate" = { low = 1e-4, high = 1e-1, log = true }
"model.hidden" = { choices = [[8], [32], [16, 16]] }
"model.dropout" = { low = 0.0, high = 0.5, when = { "model.hidden" = [[32]] } }
""", START)
OPTIONS: dict[str, Any] = {"trials": 8, "by": "accuracy", "space": SPACE, "final_seeds": 2, "workers": 1}


def told(found: Found) -> list[tuple[Any, ...]]:
    """The parts of a search that must be the same if it was interrupted."""
    return [tuple(row[key] for key in ("number", "status", "value", "changes", "curve"))
            for row in found.results["trials"]]


def content(folder: Path) -> dict[str, bytes]:
    """The files of a directory, by path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
