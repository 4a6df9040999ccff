"""A recipe as an estimator of scikit-learn, for `cross_val_score`, pipelines and grid searches."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from tenfold.data.given.values import dataset_of
from tenfold.jobs.training import fit_only
from tenfold.models import SMALLEST
from tenfold.run import Run
from tenfold.runtimes import Predictor, open_predictor

FEWEST = 10  # training images of each class, on average, for which some are held out for validation


class TenfoldClassifier(ClassifierMixin, BaseEstimator):
    """Trains a recipe in `fit`, without a test split: testing is left to the caller, as in `cross_val_score`.

    recipe: as for `tenfold.train`; overrides: values of the recipe by key, such as {"train.epochs": 3}; callbacks: one
    Keras callback or a list of them; random_state: the recipe's `train.seed` (None: its own); runs: directory for the
    runs of each `fit` (None: none is kept).

    Images X are [n, h, w], [n, h, w, c] or [n, c, h, w], or rows [n, d] of square images; rows that make no square are
    filled up with zeros. uint8 is taken as it is; other numbers are scaled by the range of the training images.
    Attributes after `fit`: `classes_` (array [k]), `n_features_in_`, `model_` (bytes of the `.keras` file), `low_` and
    `high_` (range of the training images), and with `runs` `run_` (the path of the run).
    """

    def __init__(self, recipe: Any = "cnn2", overrides: Mapping[str, Any] | None = None, callbacks: Any = (),
                 random_state: int | None = None, runs: str | Path | None = None) -> None:
        self.recipe = recipe
        self.overrides = overrides
        self.callbacks = callbacks
        self.random_state = random_state
        self.runs = runs

    def fit(self, X: Any, y: Any) -> Self:
        """Train on images X with labels y [n]. Raises ValueError for unsuitable arrays, and TenfoldErrors."""
        X, y = validate_data(self, X, y, allow_nd=True)
        check_classification_targets(y)
        self.classes_, numbers = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y holds only one class, {self.classes_[0]}; expected at least 2")
        self.low_, self.high_ = (0.0, 255.0) if X.dtype == np.uint8 else (float(X.min()), float(X.max()))
        overrides = {"data.test": 0, **({} if len(X) >= FEWEST * len(self.classes_) else {"data.validation": 0}),
                     **({} if self.random_state is None else {"train.seed": int(self.random_state)}),
                     **(self.overrides or {})}
        with tempfile.TemporaryDirectory(prefix="tenfold-fit-") as folder:
            run = fit_only(self.recipe, dataset_of((self._images(X), numbers)), self.callbacks, overrides=overrides,
                           runs=folder if self.runs is None else self.runs)
            self.model_ = (run.path / "model.keras").read_bytes()
        if self.runs is not None:
            self.run_ = str(run.path)
        self._predictor = _opened(self.model_)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities float32 [n, k], in the order of `classes_`."""
        check_is_fitted(self, "model_")
        return self._predictor.predict(self._images(validate_data(self, X, allow_nd=True, reset=False)))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each image: [n], of the dtype of the labels."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def _images(self, X: np.ndarray) -> np.ndarray:
        """Images uint8 [n, h, w, c]."""
        if X.dtype != np.uint8:
            X = np.rint((X.astype(np.float64).clip(self.low_, self.high_) - self.low_)
                        * (255 / max(self.high_ - self.low_, 1e-300))).astype(np.uint8)
        if X.ndim == 2:
            side = max(SMALLEST, int(np.ceil(np.sqrt(X.shape[1]))))
            X = np.pad(X, ((0, 0), (0, side**2 - X.shape[1]))).reshape(-1, side, side)
        if X.ndim == 3:
            X = X[..., np.newaxis]
        return X.transpose(0, 2, 3, 1) if X.shape[3] not in (1, 3) and X.shape[1] in (1, 3) else X

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_predictor"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "model_"):
            self._predictor = _opened(self.model_)


def _opened(content: bytes) -> Predictor:
    with tempfile.TemporaryDirectory(prefix="tenfold-model-") as folder:
        (Path(folder) / "model.keras").write_bytes(content)
        return open_predictor(Run(Path(folder)), "fast")
