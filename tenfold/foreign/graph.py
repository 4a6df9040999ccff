"""The JSON graph of a Keras model: nothing in it but Keras' own layers for images, with numbers of sane size.

Only the names listed here are allowed. Additions to Keras are refused until somebody has reviewed them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tenfold.errors import ModelFileError
from tenfold.foreign import calls
from tenfold.foreign.calls import MODELS

LAYERS = frozenset("""
    InputLayer Conv2D DepthwiseConv2D SeparableConv2D Conv2DTranspose Dense EinsumDense MultiHeadAttention
    BatchNormalization LayerNormalization GroupNormalization UnitNormalization Normalization
    Rescaling Resizing CenterCrop
    MaxPooling2D AveragePooling2D GlobalMaxPooling2D GlobalAveragePooling2D ZeroPadding2D Cropping2D UpSampling2D
    Activation ReLU LeakyReLU PReLU ELU Softmax Dropout SpatialDropout2D GaussianDropout GaussianNoise
    Flatten Reshape Permute Concatenate Add Subtract Multiply Average Maximum Minimum Identity
""".split())  # noqa: SIM905  (as lists they are no easier to read)
APPLICATION_LAYERS = {"LayerScale": "convnext", "CustomScaleLayer": "inception_resnet_v2"}
OPERATIONS = frozenset({"Add", "Multiply"})
INITIALIZERS = frozenset("""
    Zeros Ones Constant RandomNormal RandomUniform TruncatedNormal VarianceScaling Orthogonal Identity
    GlorotNormal GlorotUniform HeNormal HeUniform LecunNormal LecunUniform
""".split())  # noqa: SIM905  (as lists they are no easier to read)
REGULARIZERS = frozenset({"L1", "L2", "L1L2", "OrthogonalRegularizer"})
CONSTRAINTS = frozenset({"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"})
POLICIES = frozenset({"float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"})
ACTIVATIONS = frozenset("""
    linear relu relu6 leaky_relu elu selu celu gelu silu swish mish tanh sigmoid hard_sigmoid hard_silu hard_swish
    hard_tanh softmax log_softmax softplus softsign exponential glu
""".split())  # noqa: SIM905  (as lists they are no easier to read)

# Module → the class names that may come from it. Older files name no module: then the class name alone decides.
ALLOWED: dict[str, frozenset[str]] = {
    "keras.layers": LAYERS, "keras.initializers": INITIALIZERS, "keras.regularizers": REGULARIZERS,
    "keras.constraints": CONSTRAINTS, "keras.models": MODELS, "keras": MODELS | {"DTypePolicy"},
    "keras.src.models.functional": MODELS, "keras.src.models.sequential": MODELS,
    "keras.src.ops.numpy": OPERATIONS,
    **{f"keras.src.applications.{home}": frozenset({name}) for name, home in APPLICATION_LAYERS.items()},
}
NAMELESS = LAYERS | MODELS | INITIALIZERS | REGULARIZERS | CONSTRAINTS | {"DTypePolicy"}

LARGEST_NUMBER = 65_536  # filters, units, sizes
UNBOUNDED = frozenset({"seed", "shared_object_id"})
NAMES = frozenset({"class_name", "module", "registered_name", "name"})  # texts, or Keras would look into them
LARGEST = 8 << 20  # bytes of JSON; EfficientNetV2L's graph has a million
NODES = 500_000
DEPTH = 60
TEXT = 1_000  # characters of a name; Keras makes names of names
MADE = 4_000  # layers; EfficientNetV2L has 1,029
CALLS = 20_000  # of layers, as `calls.count` counts; EfficientNetV2L makes as many as it has layers
COSTLY = {"MultiHeadAttention": 8}  # layers that make others


def parsed(path: Path, text: Any, home: str) -> Any:
    """The JSON text (str or bytes) of a graph, which stands at `home` in a file. Raises ModelFileError."""
    if not isinstance(text, (str, bytes)) or len(text) > LARGEST:
        raise ModelFileError(f"{path}: refused: {home} is no text of at most {LARGEST:,} bytes")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ModelFileError(f"{path}: {home} is no valid JSON, or nested too deep") from None


def check(path: Path, config: Any) -> dict[str, Any]:
    """The graph, if it holds nothing but what is allowed, without what belongs to training alone.

    Raises ModelFileError that names what was refused and where.
    """
    if not isinstance(config, dict) or config.get("class_name") not in MODELS:
        kind = config.get("class_name") if isinstance(config, dict) else type(config).__name__
        raise ModelFileError(f"{path}: refused: its graph is a {str(kind)[:60]!r}; expected a Functional or Sequential "
                             "model")
    config = {key: value for key, value in config.items() if key != "compile_config"}
    checked = _Check(path)
    checked.value(config, "model", 0)
    if (asked := calls.count(config)) > CALLS:
        raise checked.refuse(f"its graph asks for {asked:,} calls of layers, networks inside it multiplied by theirs; "
                             f"at most {CALLS:,} are made")
    return config


class _Check:
    """One pass over a graph; counts the values so that it ends."""

    def __init__(self, path: Path) -> None:
        self.path, self.seen, self.made = path, 0, 0

    def refuse(self, what: str) -> ModelFileError:
        return ModelFileError(f"{self.path}: refused: {what}")

    def value(self, value: Any, where: str, depth: int) -> None:
        self.seen += 1
        if self.seen > NODES or depth > DEPTH:
            raise self.refuse(f"its graph has more than {NODES:,} values or is nested deeper than {DEPTH}")
        if isinstance(value, dict):
            self.table(value, where, depth)
        elif isinstance(value, list):
            for item in value:
                self.value(item, where, depth + 1)
        elif isinstance(value, str) and len(value) > TEXT:
            raise self.refuse(f"{where} has a text of {len(value):,} characters; at most {TEXT:,} are taken")
        elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            raise self.refuse(f"{where} is {value:,}; numbers up to {LARGEST_NUMBER:,} are taken")

    def table(self, table: dict[str, Any], where: str, depth: int) -> None:
        if "class_name" in table:
            where = self.named(table, where)
        for key, value in table.items():
            if len(key) > TEXT:
                raise self.refuse(f"{where} has a key of {len(key):,} characters; at most {TEXT:,} are taken")
            place = f"{key[:40]!r} of {where}"
            if key == "activation" or key.endswith("_activation"):
                self.activation(value, place, depth + 1)
            elif key in NAMES and not isinstance(value, (str, type(None))):
                raise self.refuse(f"{place} is no text")
            elif key == "registered_name" and value is not None and value != table.get("class_name"):
                raise self.refuse(f"{where} asks for the registered object {value[:60]!r}; Keras' own are taken")
            elif not (key in UNBOUNDED and isinstance(value, (int, float, type(None)))):
                self.value(value, place if not isinstance(value, dict) else where, depth + 1)

    def named(self, table: dict[str, Any], where: str) -> str:
        """Check an object that is to be made; returns how to call it in a message."""
        kind, module, config = table["class_name"], table.get("module"), table.get("config")
        if not isinstance(kind, str) or not (module is None or isinstance(module, str)):
            raise self.refuse(f"{where} names no class by a text")
        if kind == "__keras_tensor__":
            return where
        name = config.get("name") if isinstance(config, dict) else None
        label = f"{kind[:60]!r} called {str(name)[:60]!r}" if name else f"{kind[:60]!r} in {where}"
        if kind not in (NAMELESS if module is None else ALLOWED.get(module, frozenset())):
            home = f" of module {module[:60]!r}" if module and module not in ALLOWED else ""
            raise self.refuse(f"it asks for the object {label}{home}; Keras' own layers for images are taken, nothing "
                              "that holds code, paths or custom classes")
        if not isinstance(config, dict):
            raise self.refuse(f"{label} has no table of settings")
        if kind == "DTypePolicy" and config.get("name") not in POLICIES:
            raise self.refuse(f"{label} has the dtype policy {str(config.get('name'))[:40]!r}")
        if kind == "Normalization" and isinstance(config.get("axis"), list) and len(config["axis"]) > 1:
            raise self.refuse(f"{label} has statistics for more than one axis, as large as an image may be")
        self.made += COSTLY.get(kind, 1) if kind in LAYERS else 0
        if self.made > MADE:
            raise self.refuse(f"its graph has more than {MADE:,} layers (MultiHeadAttention makes 8)")
        return label

    def activation(self, value: Any, where: str, depth: int) -> None:
        """A name, or what older files write: {"class_name": "function", "config": name}, or a layer."""
        if isinstance(value, dict) and value.get("class_name") in ("ReLU", "LeakyReLU", "Softmax", "PReLU", "ELU"):
            return self.value(value, where, depth)
        if isinstance(value, dict) and value.get("class_name") == "function" and value.get("module") in (
                "builtins", "keras.activations") and set(value) <= {"class_name", "config", "module",
                                                                    "registered_name"}:
            value = value.get("config")
        if value is not None and not (isinstance(value, str) and value in ACTIVATIONS):
            raise self.refuse(f"{where} is {str(value)[:60]!r}; Keras' own activations are taken by name")
        return None
