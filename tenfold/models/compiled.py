"""What a Keras model was compiled with, as values of a recipe."""

from __future__ import annotations

import re
from typing import Any

from tenfold.backend import keras
from tenfold.errors import UsageError
from tenfold.recipe.options import options_of
from tenfold.registry import OPTIMIZERS

CROSS_ENTROPY = ("categoricalcrossentropy", "sparsecategoricalcrossentropy", "binarycrossentropy")
SCALING = ("Rescaling", "Normalization")  # layers that scale pixels themselves
SCALED = 1 / 100  # a factor of pixels below which a model scales them itself
UNUSED = {"clipnorm": None, "clipvalue": None, "global_clipnorm": None, "use_ema": False, "amsgrad": False,
          "centered": False, "gradient_accumulation_steps": None}  # options of Keras' optimizers, with their defaults


def settings(model: keras.Model, plain: keras.Model) -> tuple[dict[str, Any], list[str]]:
    """(values of a recipe by key, sentences about what is not used) for a model and its graph `plain`.

    The values are the range of the pixels, and the optimizer and label smoothing that the model was compiled with.
    Raises UsageError for a loss other than cross-entropy.
    """
    scales = _scales(plain)
    values: dict[str, Any] = {"model.pixels": "0-255" if scales else "0-1"}
    notes = [] if scales else ["the model has no Rescaling layer: its pixels are divided by 255 (model.pixels=0-1)"]
    loss = loss_of(model)
    if smoothing := float(getattr(loss, "label_smoothing", 0.0) or 0.0):
        values["train.label_smoothing"] = smoothing
    if getattr(model, "optimizer", None) is not None:
        values |= _optimizer(model.optimizer, notes)
    return values, notes


def loss_of(model: keras.Model) -> Any:
    """The loss that a model was compiled with, or None. Raises UsageError for another than cross-entropy."""
    loss = getattr(model, "loss", None)
    if isinstance(loss, list | tuple) and len(loss) == 1:
        loss = loss[0]
    if loss is None:
        return None
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    units = model.outputs[0].shape[-1] if getattr(model, "outputs", None) else None
    known = str(name).lower().replace("_", "") in CROSS_ENTROPY
    if not known or ("binary" in str(name).lower() and units not in (1, None)):
        raise UsageError(f"the Keras model was compiled with the loss {name}; expected cross-entropy, which Tenfold "
                         "trains with: compile it with sparse_categorical_crossentropy, or not at all")
    return loss


def returns_logits(model: keras.Model) -> bool:
    """Whether a model was compiled with a loss that takes logits."""
    loss = loss_of(model)
    return bool(getattr(loss, "from_logits", False) or getattr(loss, "_fn_kwargs", {}).get("from_logits", False))


def name_of(model: keras.Model) -> str:
    """The name of a model, fit for the name of a run."""
    return re.sub(r"[^\w.+-]+", "-", model.name).strip("-.+") or "model"


def _scales(plain: keras.Model) -> bool:
    """Whether a model scales pixels itself: with a layer, or by dividing them by a number."""
    if any(type(layer).__name__ in SCALING for layer in plain._flatten_layers()):
        return True
    for operation in plain.operations:
        for node in operation._inbound_nodes:
            numbers = [abs(value) for value in node.arguments.args if isinstance(value, int | float)]
            divides = type(operation).__name__ in ("Divide", "TrueDivide")
            if numbers and numbers[0] and (1 / numbers[0] if divides else numbers[0]) < SCALED and (
                    divides or type(operation).__name__ == "Multiply"):
                return True
    return False


def _optimizer(optimizer: Any, notes: list[str]) -> dict[str, Any]:
    name = type(optimizer).__name__.lower()
    rate = getattr(optimizer, "_learning_rate", None)
    if name not in OPTIMIZERS:
        notes.append(f"the optimizer is that of the recipe, not {type(optimizer).__name__}; set train.optimizer")
        return {}
    values: dict[str, Any] = {"train.optimizer": name}
    for option in options_of(OPTIMIZERS.get(name)).model_fields:
        if getattr(optimizer, option, None) is not None:
            values[f"train.optimizer.{option}"] = getattr(optimizer, option)
    unused = [option for option, default in UNUSED.items() if getattr(optimizer, option, default) != default]
    if unused:
        notes.append(f"of the optimizer, {', '.join(unused)} is not used")
    if isinstance(rate, keras.Variable):
        values["train.learning_rate"] = float(rate.numpy())
    else:
        notes.append("the learning rate is that of the recipe, not a schedule of Keras; set train.schedule")
    return values
