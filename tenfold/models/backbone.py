"""Backbones: EfficientNet-Lite0, `keras.applications`, runs and files, rebuilt with Tenfold's plain or fast layers.

A backbone is first loaded as a sketch: its graph without weight values (`foreign.load.without_memory`). `draw` creates
each layer again (`twins`).
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.backend import keras
from tenfold.counted import counted
from tenfold.errors import ModelFileError, UnknownNameError, UsageError
from tenfold.foreign.load import BATCH as BATCH  # for modules that compute features
from tenfold.foreign.load import load_model, sketch_model, without_memory
from tenfold.models import efficientnet_lite
from tenfold.models.layers import Layers, put
from tenfold.models.twins import PREFIX as PREFIX
from tenfold.models.twins import flat as flat
from tenfold.models.twins import redraw
from tenfold.storage.paths import expanded

SIZES = (8, 16, 32, 48, 64, 72, 80, 96, 128, 160, 224, 256, 331)  # pixels per side to try as input size
REFERENCE_SIZE = 224  # pixels per side at which stages are determined
ENLARGED = "enlarged"  # name of the layer that brings images to a size that the backbone accepts
UNAVAILABLE = ("NASNetLarge", "NASNetMobile")  # Keras does not support them on PyTorch


def names() -> list[str]:
    """EfficientNetLite0, and the names in `keras.applications` that can be a backbone."""
    module = keras.applications
    return [efficientnet_lite.NAME, *(name for name in dir(module) if name[0].isupper()
                                      and callable(getattr(module, name)) and name not in UNAVAILABLE)]


def path_of(backbone: str) -> Path | None:
    """The model file of `run:DIRECTORY` or `file:PATH`; None for a name from `names`."""
    kind, colon, rest = backbone.partition(":")
    if not colon:
        return None
    if kind not in ("run", "file") or not rest:
        raise UsageError(f"model.backbone: received {backbone!r}; expected EfficientNetLite0, a name in "
                         "keras.applications, run:DIRECTORY or file:PATH")
    return expanded(rest) / "model.keras" if kind == "run" else expanded(rest)


def sketch(backbone: str, weights: str = "imagenet") -> keras.Model:
    """The graph of a backbone without weight values, from raw pixels [n, height, width, 3 or 1] to features.

    Some applications have a different graph without pretrained `weights`. Raises UsageError, UnknownNameError or
    ModelFileError.
    """
    path = path_of(backbone)
    if path is None:
        return _application(backbone, weights != "none")
    return _without_head(sketch_model(path), backbone)


def with_weights(backbone: str) -> keras.Model:
    """The backbone of `run:` or `file:` with the weights of its file."""
    path = path_of(backbone)
    assert path is not None
    return _without_head(load_model(path), backbone)


def check(backbone: str) -> None:
    """Raise UsageError for a backbone that is neither a known name nor run:DIRECTORY or file:PATH."""
    if path_of(backbone) is None and backbone != efficientnet_lite.NAME and backbone not in names():
        raise UnknownNameError("backbone (run:DIRECTORY and file:PATH are others)", backbone, names())


@cache
def _application(name: str, imagenet: bool) -> keras.Model:
    check(name)
    with without_memory():
        return application(name, imagenet)[0]


def application(name: str, imagenet: bool) -> tuple[keras.Model, dict[str, Any]]:
    """(network without its head and with random weights, arguments of Keras' call that downloads its weights).

    With `imagenet`, it is the graph for ImageNet weights; EfficientNet, for example, has another graph without them.
    Nothing is downloaded or loaded. The arguments are empty without `imagenet`, and for EfficientNetLite0.
    """
    if name == efficientnet_lite.NAME:
        return efficientnet_lite.graph(), {}
    download: dict[str, Any] = {}

    def get_file(fname: str, origin: str, **options: Any) -> None:
        download.update(options, fname=fname, origin=origin)

    from keras.src.utils import file_utils  # after `backend` has selected PyTorch

    with (_patched(file_utils, "get_file", get_file), warnings.catch_warnings(),
          _patched(keras.Model, "load_weights", lambda *_, **__: None)):
        warnings.simplefilter("ignore")  # MobileNet warns that its weights were trained on 224 pixels
        model = getattr(keras.applications, name)(
            include_top=False, weights="imagenet" if imagenet else None, input_shape=(None, None, 3), pooling="avg")
    return model, download


@contextlib.contextmanager
def _patched(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _without_head(model: keras.Model, backbone: str) -> keras.Model:
    """The model of `run:` up to the input of its logits layer; the model of `file:` unchanged."""
    output = model.outputs[0]
    if backbone.startswith("run:"):
        ends = [layer for layer in model.layers if layer.name == "logits"]
        if not ends:
            raise ModelFileError(f"{backbone}: the model has no layer named 'logits', where its head starts; "
                                 "use file:PATH for the whole model")
        output = ends[0].input
    if len(model.outputs) != 1 or len(output.shape) not in (2, 4) or output.shape[-1] is None:
        raise ModelFileError(f"{backbone}: received outputs {[tuple(o.shape) for o in model.outputs]}; expected one, "
                             "pooled [n, features] or spatial [n, height, width, channels]")
    if model.inputs[0].shape[-1] not in (1, 3):
        raise ModelFileError(f"{backbone}: received input {tuple(model.inputs[0].shape)}; expected 1 or 3 channels on "
                             "the last axis")
    return keras.Model(model.inputs, output, name=model.name)


# ----------------------------------------------------------------------------------------------------
# preprocessing, sizes, stages: computed from the backbone, not kept in tables


def preprocessing(backbone: str) -> tuple[np.ndarray, np.ndarray, bool]:
    """(mean, standard deviation, whether channels are reversed) of a backbone's preprocessing, in RGB order.

    Computed by applying the application's `preprocess_input` to black and to pure colours; in Keras it is always affine
    per channel. Model files contain their preprocessing.
    """
    if path_of(backbone) is not None:
        return np.zeros(3), np.ones(3), False
    if backbone == efficientnet_lite.NAME:
        return np.full(3, efficientnet_lite.MEAN), np.full(3, efficientnet_lite.DEVIATION), False
    module = sys.modules[getattr(keras.applications, backbone).__module__]
    colours = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).reshape(4, 1, 1, 3).astype(np.float32)
    out = np.asarray(module.preprocess_input(colours.copy(), data_format="channels_last")).reshape(4, 3).astype(float)
    slopes = (out[1:] - out[0]) / 255  # [colour in, channel out]
    reverse = abs(slopes[0, 2]) > abs(slopes[0, 0])
    scale, offset = np.diag(slopes[:, ::-1] if reverse else slopes), out[0, ::-1] if reverse else out[0]
    return -offset / scale, 1 / scale, bool(reverse)


def reverse_first_kernel(model: keras.Model) -> None:
    """Convert RGB to BGR (Caffe's order) in the kernel of the first convolution, at no cost at run time."""
    layer = next(each for each in model.layers if isinstance(each, keras.layers.Conv2D))
    layer.kernel.assign(keras.ops.flip(layer.kernel, axis=2))


def input_size(model: keras.Model, height: int, width: int) -> tuple[int, int]:
    """The input size for images of height × width: their own if the backbone accepts it, else the next one in SIZES."""
    fixed = model.inputs[0].shape[1:3]
    if None not in fixed:
        return fixed
    if _accepts(model, height, width):
        return height, width
    for size in SIZES:
        if size >= min(height, width) and _accepts(model, size, size):
            return size, size
    raise UsageError(f"model.backbone: {model.name!r} received images of {height}×{width} pixels and accepts neither "
                     f"them nor any size up to {SIZES[-1]}; set model.image_size")


def _accepts(model: keras.Model, height: int, width: int) -> bool:
    try:
        with without_memory():
            output = model._run_through_graph(keras.KerasTensor((1, height, width, model.inputs[0].shape[-1])))
    except (ValueError, RuntimeError, TypeError, ZeroDivisionError):
        return False
    return all(side is None or side >= 1 for side in output.shape)


def stages(model: keras.Model) -> dict[str, int]:
    """Layer name → stage, from 0: a new stage begins where the resolution drops by a third or more.

    The 1×1 maps inside attention blocks belong to the stage around them.
    """
    stage_of: dict[str, int] = {}
    sizes: list[int] = []
    shape = [1, *(side or REFERENCE_SIZE for side in model.inputs[0].shape[1:3]), model.inputs[0].shape[3]]

    def record(operation: Any, *arguments: Any, **options: Any) -> Any:
        result = operation(*arguments, **options)
        height = result.shape[1] if len(result.shape) == 4 else 1
        if not sizes or (height > 1 and height <= sizes[-1] / 1.5):
            sizes.append(height)
        for layer in [operation, *(flat(operation) if isinstance(operation, keras.Model) else [])]:
            stage_of[layer.name] = len(sizes) - 1
        return result

    with without_memory():
        model._run_through_graph(keras.KerasTensor(shape), call_fn=record)
    return stage_of


# ----------------------------------------------------------------------------------------------------
# rebuilding


def draw(layers: Layers, x: Any, backbone: str, weights: str, trainable: str | int, frozen_norm: bool,
         dropout: float) -> Any:
    """Apply preprocessing, backbone, pooling and dropout to a symbolic batch of raw pixels; return features."""
    model = sketch(backbone, weights)
    x = match_input(layers, x, model)
    mean, deviation, _ = preprocessing(backbone)
    if np.any(mean != 0) or np.any(deviation != 1):
        x = keras.layers.Normalization(axis=1 if layers.fast else -1, mean=mean.tolist(),
                                       variance=(deviation**2).tolist(), dtype="float32", name="preprocessing")(x)
    stage_of = stages(model)
    count = max(stage_of.values()) + 1
    trained = {"all": count, "none": 0}.get(str(trainable), trainable)

    def is_trained(layer: Any) -> bool:
        """Whether the layer is trained. Layers frozen in a run stay frozen; those frozen in another file do not."""
        unlocked = layer.trainable or not backbone.startswith("run:")
        if not layers.fast:
            return unlocked
        norm = isinstance(layer, keras.layers.BatchNormalization) and frozen_norm
        return unlocked and not norm and stage_of.get(layer.name, count - 1) >= count - int(trained)

    x, channels_first = redraw(layers, x, model, is_trained)
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D(data_format="channels_first" if channels_first else "channels_last",
                                                dtype="float32", name="features")(x)
    return layers.dropout(dropout)(x) if dropout else x


def rebuild(plain: keras.Model) -> keras.Model:
    """The fast float32 network up to the logits, rebuilt from the graph of a plain one with the same weights."""
    model = keras.Model(plain.inputs, plain.get_layer("logits").output)
    layers = Layers(fast=True)
    inputs = x = layers.input(plain.input_shape[1:])
    x, _ = redraw(layers, x, model, lambda layer: False, blank=True)
    network = keras.Model(inputs, x, name=plain.name)
    put(network, plain.get_weights())
    return network


def match_input(layers: Layers, x: Any, model: keras.Model) -> Any:
    """Resize images and repeat their channel as the backbone requires."""
    axis = 1 if layers.fast else -1
    height, width = x.shape[2:4] if layers.fast else x.shape[1:3]
    form = "channels_first" if layers.fast else "channels_last"
    size = input_size(model, height, width)
    if size != (height, width):
        x = keras.layers.Resizing(*size, data_format=form, dtype="float32", name=ENLARGED)(x)
    given, taken = x.shape[axis], model.inputs[0].shape[-1]
    if given == 1 and taken == 3:
        return keras.layers.Concatenate(axis=axis, dtype="float32", name="grey_as_rgb")([x, x, x])
    if given != taken:
        raise UsageError(f"model.backbone: {model.name!r} received images of {counted(given, 'channel')}; expected "
                         f"{taken}: choose another backbone")
    return x
