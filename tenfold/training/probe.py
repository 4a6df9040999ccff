"""Linear probe: scikit-learn's logistic regression on the features of a frozen backbone."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from tenfold.data.dataset import Dataset
from tenfold.later import importing_sklearn
from tenfold.progress import Watcher, stop_if_asked
from tenfold.recipe import Recipe
from tenfold.training import features
from tenfold.training.transfer import feature_network, for_raw_features

with importing_sklearn():
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

STRENGTHS = tuple(10.0**power for power in (-4, -3, -2, -1, 0, 1))  # C, the inverse of the regularisation
ITERATIONS = 300
WITHOUT_EFFECT = ("epochs", "optimizer", "learning_rate", "schedule", "warmup", "label_smoothing", "stage_decay",
                  "image_scales", "early_stopping", "plateau")  # keys of [train]


def fit(recipe: Recipe, dataset: Dataset, model: Any, class_weights: np.ndarray | None, watcher: Watcher,
        ) -> dict[str, float]:
    """Fit the logits layer of a fast network with the weights of its backbone; return the record of the only epoch.

    `class_weights` are float [classes], or None for equal weights. The regularisation is the value in `STRENGTHS`
    with the lowest cross-entropy on the validation split; ties go to the strongest. The features are standardised,
    and the standardisation is folded into the weights of the logits layer.
    """
    if ignored := without_effect(recipe):
        watcher.notice(f"{', '.join(ignored)}: no effect on a logistic regression; set train.fit=gradient-descent to "
                       "train step by step")
    found = features.dataset_features(feature_network(model), recipe, dataset, watcher)
    assert found.validation is not None  # `training.check` requires it
    started = time.perf_counter()
    scaler = found.train.scaler()
    x, x_held = scaler.transform(found.train.images), scaler.transform(found.validation.images)
    labels, held = found.train.labels, found.validation.labels
    count = len(dataset.classes)
    loss, strength, chosen = choose(x, labels, x_held, held, count, class_weights, watcher)
    accuracy = float(chosen.score(x_held, held))
    if strength == STRENGTHS[-1] and accuracy < 1:
        watcher.notice(f"probe: C = {strength:g} is the largest value tried; fine-tuning may be more accurate")
    model.get_layer("logits").set_weights(_unscaled_weights(chosen, scaler, count))
    seconds = time.perf_counter() - started
    return {
        "epoch": 1, "seconds": seconds, "images_per_second": len(labels) / seconds, "learning_rate": 0.0,
        "loss": _loss(chosen, x, labels, count), "accuracy": float(chosen.score(x, labels)), "val_loss": loss,
        "val_accuracy": accuracy, "C": strength,
    }


def without_effect(recipe: Recipe) -> list[str]:
    """The keys that the recipe sets to other values than the defaults, and that a logistic regression ignores."""
    usual = type(recipe).from_dict({}).train
    augment = recipe.train.augment and not recipe.train.augmented_copies
    return [*(f"train.{key}" for key in WITHOUT_EFFECT
              if (value := getattr(recipe.train, key)) != getattr(usual, key) and (key, value) != ("epochs", 1)),
            *["train.augment without train.augmented_copies"] * bool(augment)]


def choose(
    x: np.ndarray, labels: np.ndarray, x_held: np.ndarray, held: np.ndarray, classes: int,
    class_weights: np.ndarray | None, watcher: Watcher,
) -> tuple[float, float, Any]:
    """(validation loss, strength, fitted logistic regression) of the strength with the lowest validation loss.

    x, x_held: standardised features float [n, d] of training and validation images; labels, held: int64 [n].
    """
    best: tuple[float, float, Any] | None = None
    for strength, fitted in _fits(x, labels, class_weights):
        stop_if_asked(watcher)
        loss = _loss(fitted, x_held, held, classes)
        watcher.notice(f"probe: C = {strength:g}: validation loss {loss:.4f}, "
                       f"accuracy {fitted.score(x_held, held):.1%}")
        if best is None or loss < best[0]:
            best = loss, strength, fitted
        else:
            break  # the loss has a single minimum over the strengths
    assert best is not None
    return best


def _fits(x: np.ndarray, labels: np.ndarray, class_weights: np.ndarray | None) -> Iterator[tuple[float, Any]]:
    """(strength, fitted logistic regression), strongest regularisation first; each fit starts from the one before."""
    weight = None if class_weights is None else {label: class_weights[label] for label in np.unique(labels)}
    model = LogisticRegression(max_iter=ITERATIONS, warm_start=True, tol=1e-3, class_weight=weight)
    for strength in STRENGTHS:
        model.set_params(C=strength)
        yield strength, copy.deepcopy(model.fit(x, labels))


def _loss(fitted: Any, x: np.ndarray, labels: np.ndarray, classes: int) -> float:
    """Mean cross-entropy; classes without training images get probability 0 (clipped by scikit-learn)."""
    found = fitted.predict_proba(x)
    probabilities = np.zeros((len(x), classes), found.dtype)
    probabilities[:, fitted.classes_] = found
    return float(log_loss(labels, probabilities, labels=np.arange(classes)))


def _unscaled_weights(fitted: Any, scaler: Any, classes: int) -> list[np.ndarray]:
    """Kernel float32 [d, classes] and bias float32 [classes] for features that are not standardised."""
    coefficients, intercept = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:  # scikit-learn stores one logit, the difference of the two
        coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
        intercept = np.concatenate([-intercept / 2, intercept / 2])
    kernel, bias = for_raw_features(coefficients.T, intercept, scaler.mean_, scaler.scale_)
    whole = np.zeros((kernel.shape[0], classes)), np.full(classes, -1e4)  # classes without images stay improbable
    whole[0][:, fitted.classes_], whole[1][fitted.classes_] = kernel, bias
    return [part.astype(np.float32) for part in whole]
