"""Checks the JSON graph of a Keras model: only Keras' own layers for images, with numbers of plausible size.

Only the names listed here are allowed. New layers of Keras are refused until somebody has reviewed them.
"""

from __future__ import annotations

import json
from collections.abc import Collection
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
AUGMENTATIONS = frozenset("""
    RandomFlip RandomRotation RandomZoom RandomTranslation RandomCrop RandomShear RandomErasing RandomContrast
    RandomBrightness RandomHue RandomSaturation RandomSharpness RandomColorJitter RandomColorDegeneration
    RandomGrayscale RandomGaussianBlur RandomInvert RandomPosterization RandomPerspective AutoContrast Equalization
    Solarization
""".split())  # noqa: SIM905
SEQUENCES = frozenset("""
    Conv1D SeparableConv1D DepthwiseConv1D MaxPooling1D AveragePooling1D GlobalMaxPooling1D GlobalAveragePooling1D
    ZeroPadding1D Cropping1D UpSampling1D SpatialDropout1D RepeatVector Dot Attention AdditiveAttention RMSNormalization
    AlphaDropout SimpleRNN LSTM GRU Bidirectional TimeDistributed
""".split())  # noqa: SIM905
APPLICATION_LAYERS = {"LayerScale": "convnext", "CustomScaleLayer": "inception_resnet_v2"}
ELEMENTWISE = frozenset("""
    Add Subtract Multiply Divide TrueDivide Maximum Minimum Power Negative Abs Absolute Square Sqrt Exp Log Log1p Clip
    Sin Cos Tanh Sign Relu Relu6 Sigmoid Silu LeakyRelu Elu Selu Gelu Celu Mish Softplus Softsign HardSigmoid HardSilu
    Cast
""".split())  # noqa: SIM905
OPERATIONS = ELEMENTWISE | frozenset("""
    Mean Sum Max Min Amax Amin Prod Std Var Reshape Transpose Swapaxes Moveaxis ExpandDims Squeeze Concatenate Stack
    Flip Pad GetItem Matmul Einsum Where Greater GreaterEqual Less LessEqual Equal NotEqual Softmax LogSoftmax
    AveragePool MaxPool OneHot Normalize Resize StopGradient
""".split())  # noqa: SIM905
VALUES, ARRAYS = frozenset({"__slice__", "__ellipsis__"}), frozenset({"__numpy__", "__tensor__"})  # for operations
NUMBERS = ("float16", "bfloat16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool")
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

COUNTED = LAYERS | AUGMENTATIONS | SEQUENCES
# Module → its allowed class names. Older files name no module; then only the class name is checked.
ALLOWED: dict[str, frozenset[str]] = {
    "keras.layers": COUNTED, "keras.initializers": INITIALIZERS, "keras.regularizers": REGULARIZERS,
    "keras.constraints": CONSTRAINTS, "keras.models": MODELS, "keras": MODELS | {"DTypePolicy"},
    "keras.src.models.functional": MODELS, "keras.src.models.sequential": MODELS,
    **{f"keras.src.ops.{part}": OPERATIONS for part in ("numpy", "nn", "core", "image", "math")},
    **{f"keras.src.applications.{home}": frozenset({name}) for name, home in APPLICATION_LAYERS.items()},
}
WITHOUT_MODULE = LAYERS | MODELS | INITIALIZERS | REGULARIZERS | CONSTRAINTS | {"DTypePolicy"}

MAX_NUMBER = 65_536  # filters, units, sizes
UNLIMITED = frozenset({"seed", "shared_object_id"})
NAMES = frozenset({"class_name", "module", "registered_name", "name"})  # only strings: Keras would load objects
MAX_BYTES = 8 << 20  # of JSON; EfficientNetV2L's graph has a million
MAX_VALUES = 500_000
MAX_DEPTH = 60
MAX_STRING = 1_000  # characters; Keras combines names into longer ones
MAX_LAYERS = 4_000  # EfficientNetV2L has 1,029
MAX_CALLS = 20_000  # of layers, from `calls.count`; EfficientNetV2L calls each of its layers once
INNER_LAYERS = {"MultiHeadAttention": 8}  # layers that a layer creates


def parse(path: Path, text: Any, name: str) -> Any:
    """Parse the JSON text (str or bytes) of a graph; `name` is its member or attribute. Raises ModelFileError."""
    if not isinstance(text, (str, bytes)) or len(text) > MAX_BYTES:
        raise ModelFileError(f"{path}: refused: {name} is too long or not a text; expected at most {MAX_BYTES:,} bytes")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ModelFileError(f"{path}: {name} is invalid JSON or nested too deep") from None


def check(path: Path, config: Any, known: Collection[str] = ()) -> dict[str, Any]:
    """The graph without the settings for training. Raises ModelFileError that names a refused part and its place.

    known: names of classes and functions of the user's own that this process has, and that the graph may use.
    """
    if not isinstance(config, dict) or config.get("class_name") not in MODELS:
        kind = config.get("class_name") if isinstance(config, dict) else type(config).__name__
        raise ModelFileError(f"{path}: refused: its graph is a {str(kind)[:60]!r}; expected a Functional or Sequential "
                             "model")
    config = {key: value for key, value in config.items() if key != "compile_config"}
    checked = _Check(path, known)
    checked.value(config, "model", 0)
    if (needed := calls.count(config)) > MAX_CALLS:
        raise checked.refuse(f"its graph needs {needed:,} layer calls, including those of nested models; expected at "
                             f"most {MAX_CALLS:,}")
    return config


class _Check:
    """One pass over a graph. It counts values and layers and stops at their limits."""

    def __init__(self, path: Path, known: Collection[str]) -> None:
        self.path, self.known, self.values, self.layers = path, known, 0, 0

    def is_own(self, name: Any) -> bool:
        return isinstance(name, str) and name in self.known

    def refuse(self, what: str) -> ModelFileError:
        return ModelFileError(f"{self.path}: refused: {what}")

    def value(self, value: Any, where: str, depth: int) -> None:
        self.values += 1
        if self.values > MAX_VALUES or depth > MAX_DEPTH:
            raise self.refuse(f"its graph has more than {MAX_VALUES:,} values or is nested deeper than {MAX_DEPTH}")
        if isinstance(value, dict):
            self.table(value, where, depth)
        elif isinstance(value, list):
            for item in value:
                self.value(item, where, depth + 1)
        elif isinstance(value, str) and len(value) > MAX_STRING:
            raise self.refuse(f"{where} has a text of {len(value):,} characters; expected at most {MAX_STRING:,}")
        elif isinstance(value, int) and abs(value) > MAX_NUMBER:
            raise self.refuse(f"{where} is {value:,}; expected at most {MAX_NUMBER:,}")

    def table(self, table: dict[str, Any], where: str, depth: int) -> None:
        if "class_name" in table:
            where = self.object(table, where)
        for key, value in table.items():
            if len(key) > MAX_STRING:
                raise self.refuse(f"{where} has a key of {len(key):,} characters; expected at most {MAX_STRING:,}")
            place = f"{key[:40]!r} of {where}"
            if key == "activation" or key.endswith("_activation"):
                self.activation(value, place, depth + 1)
            elif key in NAMES and not isinstance(value, (str, type(None))):
                raise self.refuse(f"{place} is {type(value).__name__}; expected a text")
            elif key == "registered_name" and value not in (None, table.get("class_name"), *self.known):
                raise self.refuse(f"{where} uses the registered object {value[:60]!r}; expected Keras' own")
            elif not (key in UNLIMITED and isinstance(value, (int, float, type(None)))):
                self.value(value, place if not isinstance(value, dict) else where, depth + 1)

    def object(self, table: dict[str, Any], where: str) -> str:
        """Check an object that Keras would create; return its description for error messages."""
        kind, module, config = table["class_name"], table.get("module"), table.get("config")
        if not isinstance(kind, str) or not (module is None or isinstance(module, str)):
            raise self.refuse(f"{where} has an invalid class name or module; expected texts")
        if kind == "__keras_tensor__" or (kind in VALUES and set(table) == {"class_name", "config"}):
            return where
        if kind in ARRAYS and isinstance(config, dict) and config.get("dtype") in NUMBERS:
            return where
        name = config.get("name") if isinstance(config, dict) else None
        label = f"{kind[:60]!r} called {str(name)[:60]!r}" if name else f"{kind[:60]!r} in {where}"
        if self.is_own(config if kind == "function" else kind) and not (module or "").startswith("keras"):
            return label
        if kind not in (WITHOUT_MODULE if module is None else ALLOWED.get(module, frozenset())):
            home = f" of module {module[:60]!r}" if module and module not in ALLOWED else ""
            raise self.refuse(f"it uses the object {label}{home}; expected only Keras' own layers for images, without "
                              "code, paths or custom classes, or classes that a file registers with "
                              "keras.saving.register_keras_serializable: tenfold --plugin FILE.py, or import it first")
        if not isinstance(config, dict):
            raise self.refuse(f"{label} has no config; expected a JSON object")
        if kind == "DTypePolicy" and config.get("name") not in POLICIES:
            raise self.refuse(f"{label} has the dtype policy {str(config.get('name'))[:40]!r}; expected one of "
                              f"{', '.join(sorted(POLICIES))}")
        if kind == "Normalization" and isinstance(config.get("axis"), list) and len(config["axis"]) > 1:
            raise self.refuse(f"{label} has statistics for {len(config['axis'])} axes; expected one")
        self.layers += INNER_LAYERS.get(kind, 1) if kind in COUNTED else 0
        if self.layers > MAX_LAYERS:
            raise self.refuse(f"its graph has more than {MAX_LAYERS:,} layers (MultiHeadAttention counts as 8)")
        return label

    def activation(self, value: Any, where: str, depth: int) -> None:
        """Check an activation: a name, a layer, or {"class_name": "function", "config": name} from older files."""
        if isinstance(value, dict) and value.get("class_name") in ("ReLU", "LeakyReLU", "Softmax", "PReLU", "ELU"):
            return self.value(value, where, depth)
        if isinstance(value, dict) and value.get("class_name") == "function" and value.get("module") in (
                "builtins", "keras.activations") and set(value) <= {"class_name", "config", "module",
                                                                    "registered_name"}:
            value = value.get("config")
        if isinstance(value, dict) and (self.is_own(value.get("class_name")) or self.is_own(value.get("config"))):
            return self.value(value, where, depth)
        if value is not None and not (isinstance(value, str) and value in ACTIVATIONS):
            raise self.refuse(f"{where} is {str(value)[:60]!r}; expected the name of one of Keras' own activations")
        return None
