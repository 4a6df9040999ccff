"""Tenfold turns labelled images into an image classifier.

`import tenfold` is fast: the first call that needs Keras and PyTorch imports them. It chooses the backend of a Keras
that is imported later: PyTorch on the CPU, unless KERAS_BACKEND or KERAS_TORCH_DEVICE say otherwise.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

os.environ.setdefault("KERAS_BACKEND", "torch")  # else `import tenfold, keras` would look for TensorFlow
os.environ.setdefault("KERAS_TORCH_DEVICE", "cpu")  # the training engine moves a network to a GPU

_MODULES = {
    "train": "tenfold.jobs",
    "seeds": "tenfold.jobs",
    "probe": "tenfold.jobs",
    "try_images": "tenfold.jobs",
    "conduct": "tenfold.study",
    "cross_validate": "tenfold.crossvalidation",
    "resume": "tenfold.jobs",
    "ensemble": "tenfold.jobs",
    "TenfoldClassifier": "tenfold.estimator",
    "Watcher": "tenfold.progress",
    "evaluate": "tenfold.jobs",
    "calibrate": "tenfold.jobs",
    "compare": "tenfold.comparison",
    "explain": "tenfold.explanation",
    "drift": "tenfold.elsewhere",
    "next_images": "tenfold.labelling",
    "tune": "tenfold.search",
    "predict": "tenfold.prediction",
    "predict_all": "tenfold.bulk",
    "open_dataset": "tenfold.data",
    "Dataset": "tenfold.data",
    "Split": "tenfold.data",
    "Provenance": "tenfold.data",
    "Recipe": "tenfold.recipe",
    "Run": "tenfold.run",
    "TenfoldError": "tenfold.errors",
}
__all__ = ["__version__", *_MODULES]

if TYPE_CHECKING:
    from tenfold.bulk import predict_all as predict_all
    from tenfold.comparison import compare as compare
    from tenfold.crossvalidation import cross_validate as cross_validate
    from tenfold.data import Dataset as Dataset
    from tenfold.data import Provenance as Provenance
    from tenfold.data import Split as Split
    from tenfold.data import open_dataset as open_dataset
    from tenfold.elsewhere import drift as drift
    from tenfold.errors import TenfoldError as TenfoldError
    from tenfold.estimator import TenfoldClassifier as TenfoldClassifier
    from tenfold.explanation import explain as explain
    from tenfold.jobs import calibrate as calibrate
    from tenfold.jobs import ensemble as ensemble
    from tenfold.jobs import evaluate as evaluate
    from tenfold.jobs import probe as probe
    from tenfold.jobs import resume as resume
    from tenfold.jobs import seeds as seeds
    from tenfold.jobs import train as train
    from tenfold.jobs import try_images as try_images
    from tenfold.labelling import next_images as next_images
    from tenfold.prediction import predict as predict
    from tenfold.progress import Watcher as Watcher
    from tenfold.recipe import Recipe as Recipe
    from tenfold.run import Run as Run
    from tenfold.search import tune as tune
    from tenfold.study import conduct as conduct


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'tenfold' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
