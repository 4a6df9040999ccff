"""Backbones: graphs from `keras.applications`, runs and files, drawn anew in Tenfold's two kinds of layers.

A backbone is looked at as a sketch, without values (`foreign.load.without_memory`). `draw` walks its graph and
makes each layer again: as it is for the plain kind; channels-first, in the precision of the training, for the
fast one. Layers that have no channels-first form keep theirs, behind one permutation: slower, never different.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.backend import keras
from tenfold.errors import ModelFileError, UnknownNameError, UsageError
from tenfold.foreign.load import BATCH as BATCH  # for whoever shows a backbone images
from tenfold.foreign.load import inside, load_model, sketch_model, without_memory
from tenfold.models.layers import BatchNormalization, Conv2D, Layers, put

PREFIX = "backbone_"  # of the layers' names; Tenfold's own never start so
SIZES = (8, 16, 32, 48, 64, 72, 80, 96, 128, 160, 224, 256, 331)  # pixels a side that are tried
USUAL = 224  # pixels a side at which stages are told apart
BROKEN = ("NASNetLarge", "NASNetMobile")  # Keras: not available on PyTorch

ANY_FORMAT = ("Activation", "ReLU", "LeakyReLU", "ELU", "Dropout", "GaussianDropout", "GaussianNoise", "Add",
              "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Identity", "CustomScaleLayer")
BY_AXIS = ("BatchNormalization", "Normalization", "Concatenate")
OVER_CHANNELS = ("softmax", "log_softmax", "glu")  # activations that work along the last axis


def names() -> list[str]:
    """The names in `keras.applications` that can be a backbone."""
    found = keras.applications
    return [name for name in dir(found) if name[0].isupper() and callable(getattr(found, name)) and name not in BROKEN]


def path_of(backbone: str) -> Path | None:
    """The model file that `run:DIRECTORY` or `file:PATH` names; None for a name in `keras.applications`."""
    kind, colon, rest = backbone.partition(":")
    if not colon:
        return None
    if kind not in ("run", "file") or not rest:
        raise UsageError(f"model.backbone: received {backbone!r}; expected a name in keras.applications, run:DIRECTORY "
                         "or file:PATH")
    return Path(rest).expanduser() / "model.keras" if kind == "run" else Path(rest).expanduser()


def sketch(backbone: str, weights: str = "imagenet") -> keras.Model:
    """The graph of a backbone, without values: raw pixels [n, height, width, 3 or 1] in, features out.

    Some applications are another graph with trained `weights` than with none. Raises UnknownNameError,
    ModelFileError.
    """
    path = path_of(backbone)
    if path is None:
        return _application(backbone, weights != "none")
    return _cut(sketch_model(path), backbone)


def valued(backbone: str) -> keras.Model:
    """The same graph with the weights of its file, for `run:` and `file:`."""
    path = path_of(backbone)
    assert path is not None
    return _cut(load_model(path), backbone)


@cache
def _application(name: str, imagenet: bool) -> keras.Model:
    if name not in names():
        raise UnknownNameError("backbone (run:DIRECTORY and file:PATH are others)", name, names())
    with without_memory():
        return application(name, imagenet)[0]


def application(name: str, imagenet: bool) -> tuple[keras.Model, dict[str, Any]]:
    """An application without its head, with random weights; then the arguments of the download it asked for.

    The graph is the one that Keras builds for its ImageNet weights, or for none (EfficientNet's differ). Nothing is
    downloaded or loaded; without `imagenet`, nothing is asked for.
    """
    asked: dict[str, Any] = {}

    def get_file(fname: str, origin: str, **options: Any) -> None:
        asked.update(options, fname=fname, origin=origin)

    from keras.src.utils import file_utils  # only once `backend` has chosen PyTorch

    with (_replaced(file_utils, "get_file", get_file), warnings.catch_warnings(),
          _replaced(keras.Model, "load_weights", lambda *_, **__: None)):
        warnings.simplefilter("ignore")  # MobileNet's, that its weights are those of 224 pixels
        model = getattr(keras.applications, name)(
            include_top=False, weights="imagenet" if imagenet else None, input_shape=(None, None, 3), pooling="avg")
    return model, asked


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _cut(model: keras.Model, backbone: str) -> keras.Model:
    """A run's model up to its logits; any other as it is."""
    output = model.outputs[0]
    if backbone.startswith("run:"):
        ends = [layer for layer in model.layers if layer.name == "logits"]
        if not ends:
            raise ModelFileError(f"{backbone}: its model has no layer named 'logits' to be cut before; "
                                 "name the file with file:PATH to use it whole")
        output = ends[0].input
    if len(model.outputs) != 1 or len(output.shape) not in (2, 4) or output.shape[-1] is None:
        raise ModelFileError(f"{backbone}: gives {[tuple(o.shape) for o in model.outputs]}; expected one output, "
                             "pooled [n, features] or spatial [n, height, width, channels]")
    if model.inputs[0].shape[-1] not in (1, 3):
        raise ModelFileError(f"{backbone}: takes {tuple(model.inputs[0].shape)}; expected 1 or 3 channels, last")
    return keras.Model(model.inputs, output, name=model.name)


# ----------------------------------------------------------------------------------------------------
# preprocessing, sizes, stages: found by looking, not kept in tables


def preprocessing(backbone: str) -> tuple[np.ndarray, np.ndarray, bool]:
    """(mean, standard deviation, channels reversed) that a backbone's own preprocessing comes to, by channel.

    Found by asking `preprocess_input` of the application's module what it makes of black and of pure colours;
    every one in Keras is affine by channel. Files bring their own inside. The values stand in RGB order.
    """
    if path_of(backbone) is not None:
        return np.zeros(3), np.ones(3), False
    module = sys.modules[getattr(keras.applications, backbone).__module__]
    colours = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).reshape(4, 1, 1, 3).astype(np.float32)
    out = np.asarray(module.preprocess_input(colours.copy(), data_format="channels_last")).reshape(4, 3).astype(float)
    slopes = (out[1:] - out[0]) / 255  # [colour in, channel out]
    reverse = abs(slopes[0, 2]) > abs(slopes[0, 0])
    scale, offset = np.diag(slopes[:, ::-1] if reverse else slopes), out[0, ::-1] if reverse else out[0]
    return -offset / scale, 1 / scale, bool(reverse)


def first_kernel_reversed(model: keras.Model) -> None:
    """Turn RGB into BGR (Caffe's order) in the first convolution's kernel, where it costs nothing."""
    layer = next(each for each in model.layers if isinstance(each, keras.layers.Conv2D))
    layer.kernel.assign(keras.ops.flip(layer.kernel, axis=2))


def input_size(model: keras.Model, height: int, width: int) -> tuple[int, int]:
    """The size that images of height × width are brought to: theirs, if the backbone takes it."""
    fixed = model.inputs[0].shape[1:3]
    if None not in fixed:
        return fixed
    if _takes(model, height, width):
        return height, width
    for size in SIZES:
        if size >= min(height, width) and _takes(model, size, size):
            return size, size
    raise UsageError(f"model.backbone: {model.name!r} takes no images of {height}×{width} pixels, nor of up to "
                     f"{SIZES[-1]}; set model.image_size")


def _takes(model: keras.Model, height: int, width: int) -> bool:
    try:
        with without_memory():
            output = model._run_through_graph(keras.KerasTensor((1, height, width, model.inputs[0].shape[-1])))
    except (ValueError, RuntimeError, TypeError, ZeroDivisionError):
        return False
    return all(side is None or side >= 1 for side in output.shape)


def stages(model: keras.Model) -> dict[str, int]:
    """Layer name → stage, from 0: a new one begins where the resolution falls by a third or more.

    The squeezed 1×1 maps inside attention blocks belong to the stage around them.
    """
    found: dict[str, int] = {}
    sizes: list[int] = []
    shape = [1, *(side or USUAL for side in model.inputs[0].shape[1:3]), model.inputs[0].shape[3]]

    def look(operation: Any, *arguments: Any, **options: Any) -> Any:
        result = operation(*arguments, **options)
        height = result.shape[1] if len(result.shape) == 4 else 1
        if not sizes or (height > 1 and height <= sizes[-1] / 1.5):
            sizes.append(height)
        for layer in [operation, *(flat(operation) if isinstance(operation, keras.Model) else [])]:
            found[layer.name] = len(sizes) - 1
        return result

    with without_memory():
        model._run_through_graph(keras.KerasTensor(shape), call_fn=look)
    return found


# ----------------------------------------------------------------------------------------------------
# drawing


def draw(layers: Layers, x: Any, backbone: str, weights: str, trainable: str | int, frozen_norm: bool,
         dropout: float) -> Any:
    """Draw preprocessing, backbone, pooling and dropout on a symbolic batch of raw pixels; gives features."""
    model = sketch(backbone, weights)
    x = _shaped(layers, x, model)
    mean, deviation, _ = preprocessing(backbone)
    if np.any(mean != 0) or np.any(deviation != 1):
        x = keras.layers.Normalization(axis=1 if layers.fast else -1, mean=mean.tolist(),
                                       variance=(deviation**2).tolist(), dtype="float32", name="preprocessing")(x)
    first = layers.fast and _has_channels_first_form(model)
    if layers.fast and not first:
        x = keras.layers.Permute((2, 3, 1), dtype="float32", name="channels_last")(x)
    of = stages(model)
    count = max(of.values()) + 1
    trained = {"all": count, "none": 0}.get(str(trainable), trainable)

    def rates(layer: Any) -> bool:
        """Whether the layer is trained. A run's own frozen layers stay so; what a file says of it is not asked."""
        own = layer.trainable or not backbone.startswith("run:")
        if not layers.fast:
            return own
        norm = isinstance(layer, keras.layers.BatchNormalization) and frozen_norm
        return own and not norm and of.get(layer.name, count - 1) >= count - int(trained)

    x = model._run_through_graph(x, operation_fn=_Twins(layers, first, model.inputs[0].shape[-1], rates))
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D(data_format="channels_first" if first else "channels_last",
                                                dtype="float32", name="features")(x)
    return layers.dropout(dropout)(x) if dropout else x


def redrawn(plain: keras.Model) -> keras.Model:
    """The fast float32 network of a plain one on a backbone, up to its logits, drawn from its own graph."""
    model = keras.Model(plain.inputs, plain.get_layer("logits").output)
    layers = Layers(fast=True)
    inputs = x = layers.input(plain.input_shape[1:])
    first = _has_channels_first_form(model)
    if not first:
        x = keras.layers.Permute((2, 3, 1), dtype="float32", name="channels_last")(x)
    x = model._run_through_graph(x, operation_fn=_Twins(layers, first, plain.input_shape[-1], lambda _: False))
    network = keras.Model(inputs, x, name=plain.name)
    put(network, plain.get_weights())
    return network


def _shaped(layers: Layers, x: Any, model: keras.Model) -> Any:
    """Bring images to the size and the channels that a backbone takes."""
    axis = 1 if layers.fast else -1
    height, width = x.shape[2:4] if layers.fast else x.shape[1:3]
    form = "channels_first" if layers.fast else "channels_last"
    size = input_size(model, height, width)
    if size != (height, width):
        x = keras.layers.Resizing(*size, data_format=form, dtype="float32", name="enlarged")(x)
    given, taken = x.shape[axis], model.inputs[0].shape[-1]
    if given == 1 and taken == 3:
        return keras.layers.Concatenate(axis=axis, dtype="float32", name="grey_as_rgb")([x, x, x])
    if given != taken:
        raise UsageError(f"model.backbone: {model.name!r} takes images of {taken} channel, and these have {given}")
    return x


class _Twins:
    """Makes each layer of a graph again, once, with a name of its own."""

    def __init__(self, layers: Layers, first: bool, channels: int, trained: Callable[[Any], bool]) -> None:
        self.layers, self.first, self.channels, self.trained = layers, first, channels, trained
        self.made: dict[int, Any] = {}

    def __call__(self, operation: Any) -> Any:
        if isinstance(operation, keras.Model):  # a network inside: its layers, without the wrapping
            return lambda x, **_: inside(operation)._run_through_graph(x, operation_fn=self)
        if isinstance(operation, keras.layers.InputLayer):
            return lambda x: x
        if not isinstance(operation, keras.layers.Layer):
            return operation  # a bare addition or multiplication: no weights, any format
        if id(operation) not in self.made:
            self.made[id(operation)] = self._twin(operation)
        return self.made[id(operation)]

    def _twin(self, layer: Any) -> Any:
        config = layer.get_config()
        config["name"] = PREFIX + layer.name
        config["dtype"] = self._dtype(layer)
        if self.first:
            if "data_format" in config:
                config["data_format"] = "channels_first"
            if type(layer).__name__ in BY_AXIS:
                config["axis"] = 1
            if isinstance(layer, keras.layers.Reshape) and len(layer.target_shape) == 3:
                config["target_shape"] = (layer.target_shape[2], *layer.target_shape[:2])
            if isinstance(layer, keras.layers.Rescaling):
                config |= {key: np.reshape(config[key], (-1, 1, 1)).tolist() for key in ("scale", "offset")
                           if np.ndim(config[key]) == 1}
        twin = self._kind(layer).from_config(config)
        twin.trainable = self.trained(layer)
        return twin

    def _kind(self, layer: Any) -> Any:
        """The fast kind where there is one of the same weights."""
        if not self.first:
            return type(layer)
        if type(layer) is keras.layers.BatchNormalization and layer.scale and layer.center:
            return BatchNormalization
        return Conv2D if type(layer) is keras.layers.Conv2D else type(layer)

    def _dtype(self, layer: Any) -> str:
        """Whatever works on the image itself, before features are made of it, keeps all bits of its pixels."""
        narrow = isinstance(layer.output.shape, tuple) and layer.output.shape[-1] == self.channels
        return "float32" if narrow or not self.layers.fast else self.layers.dtype


def flat(model: keras.Model) -> list[Any]:
    """The layers of a graph and of the networks inside it."""
    inner = [flat(layer) if isinstance(layer, keras.Model) else [layer] for layer in model.layers]
    return [layer for group in inner for layer in group if not isinstance(layer, keras.layers.InputLayer)]


def _has_channels_first_form(operation: Any) -> bool:
    """Whether a graph, or a part of one, computes the same with the channels first."""
    if isinstance(operation, keras.Model):
        parts = inside(operation).operations
        return all(_has_channels_first_form(part) for part in parts if not isinstance(part, keras.layers.InputLayer))
    kind, nodes = type(operation).__name__, operation._inbound_nodes
    given = [{len(x.shape) for x in node.input_tensors} for node in nodes]
    if any(len(ranks) > 1 for ranks in given):  # broadcast along the last axes, whatever these are
        return False
    spatial = any(len(x.shape) == 4 for node in nodes for x in node.output_tensors)
    if not isinstance(operation, keras.layers.Layer):
        return True  # an addition or a multiplication, of maps or with a number
    noise = getattr(operation, "noise_shape", None) or ()  # whole images may be dropped in either form
    if not _is_pointwise(getattr(operation, "activation", None), spatial) or any(side != 1 for side in noise[1:]):
        return False
    if kind in BY_AXIS:
        axis = operation.axis
        return axis in (-1, 3, [-1], [3], (3,), (-1,))
    if kind == "Reshape":  # what attention blocks do to pooled features
        return len(operation.target_shape) == 3 and tuple(operation.target_shape[:2]) == (1, 1)
    if kind == "Rescaling":
        return max(np.ndim(operation.scale), np.ndim(operation.offset)) <= int(spatial)
    if kind == "Dense":
        return given == [{2}] * len(nodes)
    if kind == "Softmax":
        return False
    return kind in ANY_FORMAT or ("data_format" in operation.get_config() and kind != "Flatten")


def _is_pointwise(activation: Any, spatial: bool) -> bool:
    """Whether an activation (a function, a layer or None) looks at one value at a time, where there are maps."""
    if isinstance(activation, keras.layers.Layer):
        return _has_channels_first_form(activation)
    return not (spatial and getattr(activation, "__name__", None) in OVER_CHANNELS)
