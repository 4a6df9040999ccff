"""A first verdict on images: a classifier on pretrained features, and what more images would bring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold.data import data_name
from tenfold.data.given.values import Data
from tenfold.jobs.own_data import with_source
from tenfold.jobs.training import probe_sections, train
from tenfold.progress import Watcher
from tenfold.recipe import Recipe
from tenfold.run import Run

BACKBONE = "EfficientNetLite0"
SIDE = 160  # pixels: nearly as accurate as the 224 that the backbone was trained on, in half the time


def try_images(
    data: Data, recipe: Recipe | None = None, *, runs: str | Path = "runs", name: str | None = None,
    watcher: Watcher | None = None,
) -> Run:
    """Classify images by the features of a pretrained backbone and judge the result. Returns a complete run.

    data: a path, a name or a URI of a data set, or images as for `train`. recipe: another recipe than that of
    `try_sections`, also a logistic regression on frozen features. Its learning curve tells what more images would
    bring. Raises the errors of `train`.
    """
    recipe = recipe or Recipe.from_dict(try_sections(), name="try")
    if isinstance(data, str | Path):
        name = name or f"try-{data_name(with_source(recipe, data).data.source)}"
    return train(recipe, data, runs=runs, name=name, learning_curve=True, watcher=watcher)


def try_sections() -> dict[str, Any]:
    """The sections of the recipe that `try_images` trains."""
    sections = probe_sections(BACKBONE)
    return {**sections, "data": {"validation": 0.2, "test": 0.2},
            "model": {**sections["model"], "image_size": SIDE}}
