"""Where a convolutional model looks (Grad-CAM), and what its penultimate features find alike."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from tenfold.backend import keras
from tenfold.data.view import Images
from tenfold.errors import UsageError
from tenfold.evaluation.misclassified import Explained, Guess, Neighbour

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D,
                keras.layers.Conv2DTranspose)
SQUASHING = (keras.activations.softmax, keras.activations.sigmoid)


@dataclass(frozen=True)
class _Call:
    """One call of a layer in a forward pass, in the order of execution."""

    layer: Any
    input: Any
    output: Any


def explain(model: keras.Model, images: np.ndarray, guesses: Sequence[Guess], others: np.ndarray) -> list[Explained]:
    """Guesses with their Grad-CAM of the predicted class and of `others`.

    images: uint8 [n, height, width, channels], one for each guess; others: int [n], the true class or the
    runner-up. Without a convolution in the model there are no heat maps.
    """
    labels = np.array([guess.predicted for guess in guesses], np.int64)
    try:
        maps = [(labels, grad_cam(model, images, labels)), (others, grad_cam(model, images, others))]
    except UsageError:
        maps = []
    return [Explained(guess, images[i], tuple((int(of[i]), heats[i]) for of, heats in maps))
            for i, guess in enumerate(guesses)]


def grad_cam(model: keras.Model, images: np.ndarray, classes: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """Grad-CAM heat maps (Selvaraju et al. 2017, equations 1 and 2), float32 [n, height, width] from 0 to 1.

    model: any Keras model of images whose last layer gives one value a class, backbones nested in it to any
    depth; images: uint8 or float [n, height, width, channels] as the model takes them; classes: int [n], the
    class whose score is explained in each image.

    The maps are those of the last convolution, or of the last layer of that resolution behind it (its
    normalisation, activation, merged branches). Scores are taken before the final softmax or sigmoid. Each map
    is scaled to a maximum of 1 and bilinearly to the size of the image; a map without a positive value is all 0.
    Raises UsageError if the model has no convolution whose map is larger than one pixel.
    """
    images = np.asarray(images)
    if not len(images):
        return np.zeros((0, *images.shape[1:3]), np.float32)
    target, last_layer, axis = _target(model, images[:1])
    maps = []
    for start in range(0, len(images), batch_size):
        chosen = torch.as_tensor(np.asarray(classes[start : start + batch_size], np.int64))
        maps.append(_grad_cam(model, images[start : start + batch_size], chosen, target, last_layer, axis))
    return np.concatenate(maps)


def _grad_cam(model: Any, images: np.ndarray, classes: torch.Tensor, target: int, last_layer: Any,
              axis: int) -> np.ndarray:
    """The maps of one batch. `target` counts calls of layers; `axis` is that of the channels."""
    found: list[torch.Tensor] = []
    calls = 0

    def watch(layer: Any, given: Any, output: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls - 1 == target:  # what lies below needs no gradient: the graph begins here
            output = output.detach().requires_grad_()
            found.append(output)
        return given if layer is last_layer and isinstance(layer, keras.layers.Softmax) else output

    with torch.enable_grad(), _linear(last_layer), _watched(model, watch):
        scores = model(_tensor(images), training=False)
        chosen = scores.gather(1, classes[:, None]).sum()
        (gradient,) = torch.autograd.grad(chosen, found[0])
    with torch.no_grad():
        channels_first = (lambda x: x) if axis == 1 else (lambda x: x.permute(0, 3, 1, 2))
        features, gradient = channels_first(found[0]).float(), channels_first(gradient).float()
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        heat = F.relu((weights * features).sum(dim=1, keepdim=True))
        heat = F.interpolate(heat, size=images.shape[1:3], mode="bilinear", align_corners=False)[:, 0]
        top = heat.amax(dim=(1, 2), keepdim=True)
        return torch.where(top > 0, heat / top.clamp_min(torch.finfo(heat.dtype).tiny), 0.0).numpy()


def _target(model: Any, image: np.ndarray) -> tuple[int, Any, int]:
    """(number of the call whose output is explained, the last layer, the axis of its channels)."""
    calls = _trace(model, image)
    found = None
    for number, call in enumerate(calls):
        shape = _shape(call.output)
        if isinstance(call.layer, CONVOLUTIONS):
            axis = 1 if call.layer.data_format == "channels_first" else 3
            sides = _sides(shape, axis)
            if max(sides) > 1:
                found = number, axis, sides
        elif found and len(shape) == 4 and _sides(shape, found[1]) == found[2]:
            found = number, found[1], found[2]
    if found is None:
        raise UsageError(f"Grad-CAM: received the model {model.name!r}, which has no convolution with a map larger "
                         "than one pixel; expected a convolutional model: train a recipe with one, such as cnn2")
    return found[0], calls[-1].layer, found[1]


def _sides(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[2:] if axis == 1 else shape[1:3]


def _shape(output: Any) -> tuple[int, ...]:
    return tuple(output.shape) if isinstance(output, torch.Tensor) else ()


# ----------------------------------------------------------------------------------------------------
# features


def features(model: keras.Model, images: np.ndarray, batch_size: int = 100) -> np.ndarray:
    """What the last dense layer is given for each image, float32 [n, d]: the penultimate features.

    Where no layer is dense, it is what the last layer with weights is given, flattened. `images` are as the
    model takes them. Raises UsageError if no layer has weights.
    """
    images = np.asarray(images)
    calls = _trace(model, images[:1]) if len(images) else []
    dense = [i for i, call in enumerate(calls) if isinstance(call.layer, keras.layers.Dense)]
    weighted = [i for i, call in enumerate(calls) if call.layer.weights]
    if len(images) and not weighted:
        raise UsageError(f"features: received the model {model.name!r}, in which no layer has weights; "
                         "expected a trained model")
    rows = [_given(model, images[start : start + batch_size], (dense or weighted)[-1]).flatten(1).float().numpy()
            for start in range(0, len(images), batch_size)]
    return np.concatenate(rows) if rows else np.zeros((0, 0), np.float32)


def nearest(model: keras.Model, images: np.ndarray, others: Images, labels: np.ndarray, count: int, *,
            batch_size: int = 100, progress: Callable[[int], None] | None = None) -> list[tuple[Neighbour, ...]]:
    """For each of `images` the `count` of `others` with the most similar penultimate features, nearest first.

    images: uint8 [m, h, w, c]; others: uint8 [n, h, w, c] with labels int64 [n]. Similarity is the cosine, -1
    to 1; equal ones keep the order of `others`. `others` are gone through a batch at a time, so that they may be
    larger than memory; `progress` is told how many are done.
    """
    wanted = _unit(features(model, images, batch_size))
    similarities: np.ndarray = np.zeros((len(images), 0), np.float32)
    indices: np.ndarray = np.zeros((len(images), 0), np.int64)
    for start in range(0, len(others) if len(images) else 0, batch_size):
        batch = _unit(features(model, others[start : start + batch_size], batch_size))
        similarities = np.concatenate([similarities, wanted @ batch.T], axis=1)
        here = np.broadcast_to(np.arange(start, start + len(batch)), (len(images), len(batch)))
        indices = np.concatenate([indices, here], axis=1)
        order = np.argsort(-similarities, axis=1, kind="stable")[:, :count]
        similarities, indices = (np.take_along_axis(a, order, axis=1) for a in (similarities, indices))
        if progress:
            progress(start + len(batch))
    return [tuple(Neighbour(int(i), int(labels[i]), float(s)) for i, s in zip(*row, strict=True))
            for row in zip(indices, similarities, strict=True)]


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays one."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)


# ----------------------------------------------------------------------------------------------------
# looking into a model: its layers are called as ever, and what goes through them is seen


def _trace(model: Any, images: np.ndarray) -> list[_Call]:
    """Every call of a layer in one forward pass, in order, without gradients."""
    calls: list[_Call] = []

    def watch(layer: Any, given: Any, output: Any) -> Any:
        calls.append(_Call(layer, given, output))
        return output

    with torch.no_grad(), _watched(model, watch):
        model(_tensor(images), training=False)
    return calls


def _given(model: Any, images: np.ndarray, number: int) -> torch.Tensor:
    """The input of one call of a layer in a forward pass; nothing else of the pass is kept."""
    calls, found = itertools.count(), []

    def watch(layer: Any, given: Any, output: Any) -> Any:
        if next(calls) == number:
            found.append(given)
        return output

    with torch.no_grad(), _watched(model, watch):
        model(_tensor(images), training=False)
    return found[0]


def _tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(images, np.float32))


def _leaves(model: Any) -> list[Any]:
    """All layers that hold no other layer, however deep."""
    layers = [layer for layer in model._flatten_layers(include_self=False) if not layer._layers]
    return list({id(layer): layer for layer in layers}.values())


@contextlib.contextmanager
def _watched(model: Any, watch: Callable[[Any, Any, Any], Any]) -> Iterator[None]:
    """Within the block, each call of a leaf layer goes through `watch(layer, input, output)`, which gives the output.

    Keras' layers call no PyTorch hooks, so `call` itself is covered on each instance. This holds for
    nested, shared and subclassed models alike.
    """
    leaves = [layer for layer in _leaves(model) if not isinstance(layer, keras.layers.InputLayer)]

    def cover(layer: Any) -> None:
        inner = layer.call

        def call(*args: Any, **kwargs: Any) -> Any:
            given = args[0] if args else next(iter(kwargs.values()), None)
            return watch(layer, given, inner(*args, **kwargs))

        object.__setattr__(layer, "call", call)

    for layer in leaves:
        cover(layer)
    try:
        yield
    finally:
        for layer in leaves:
            object.__delattr__(layer, "call")


@contextlib.contextmanager
def _linear(layer: Any) -> Iterator[None]:
    """Within the block, a layer whose activation is softmax or sigmoid passes its scores through."""
    before = getattr(layer, "activation", None)
    if before not in SQUASHING:
        yield
        return
    layer.activation = keras.activations.linear
    try:
        yield
    finally:
        layer.activation = before
