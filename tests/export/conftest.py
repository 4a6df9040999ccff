"""A finished run of each family of networks, trained for moments on drawn shapes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.environments import TENSORFLOW, AbsentError, directory
from tenfold import jobs
from tenfold.export.savedmodel import VARIABLE
from tenfold.recipe import Recipe
from tenfold.run import Run

FAMILIES: dict[str, dict[str, Any]] = {
    "mlp": {"name": "mlp", "hidden": [16], "norm": "batch"},
    "cnn": {"name": "cnn", "filters": [4, 8], "dense": [16], "norm": "batch"},
    "speednet": {"name": "speednet", "filters": [4, 8, 8]},
}
DATA = "shapes:train=120,test=20"


@pytest.fixture(scope="session", autouse=True)
def tensorflow() -> Iterator[None]:
    """The format tf uses the TensorFlow of the benchmarks, if they have installed it."""
    with pytest.MonkeyPatch.context() as patch:
        with contextlib.suppress(AbsentError):
            patch.setenv(VARIABLE, os.environ.get(VARIABLE) or TENSORFLOW.python(directory(), install=False))
        yield


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Family → run; "probe" is a logistic regression on the features of the CNN."""
    root = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENFOLD_CACHE", str(tmp_path_factory.mktemp("cache")))
        found = {name: jobs.train(_recipe(name, model), runs=root, name=name) for name, model in FAMILIES.items()}
        found["probe"] = jobs.probe(f"run:{found['cnn'].path}", DATA, runs=root, name="probe")
    return found


def _recipe(name: str, model: dict[str, Any]) -> Recipe:
    return Recipe.from_dict({"data": {"source": DATA}, "model": model, "train": {"epochs": 1, "batch_size": 20}}, name)
