"""Explanations: Grad-CAM heat maps, and nearest training images by penultimate features."""

from __future__ import annotations

import contextlib
import itertools
import re
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
from tenfold.models.ensemble import PREFIX

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D,
                keras.layers.Conv2DTranspose)
OUTPUT_ACTIVATIONS = (keras.activations.softmax, keras.activations.sigmoid)


@dataclass(frozen=True)
class _Call:
    """One call of a layer in a forward pass."""

    layer: Any
    input: Any
    output: Any


def explain(model: keras.Model, images: np.ndarray, guesses: Sequence[Guess], others: np.ndarray) -> list[Explained]:
    """Add Grad-CAM heat maps to predictions: of the predicted class and of a second class.

    images: uint8 [n, height, width, channels], one for each guess; others: int [n], the second class (the true
    class or the second most probable one). If the model has no convolution, there are no heat maps.
    """
    labels = np.array([guess.predicted for guess in guesses], np.int64)
    try:
        maps = list(zip((labels, others), grad_cam_of(model, images, (labels, others)), strict=True))
    except UsageError:
        maps = []
    return [Explained(guess, images[i], tuple((int(of[i]), heats[i]) for of, heats in maps))
            for i, guess in enumerate(guesses)]


def grad_cam(model: keras.Model, images: np.ndarray, classes: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """Grad-CAM heat maps (Selvaraju et al. 2017, equations 1 and 2), float32 [n, height, width] from 0 to 1.

    model: any Keras image classifier with one output per class; it may contain nested backbones. images: uint8 or
    float [n, height, width, channels] as the model takes them; classes: int [n], the class to explain in each
    image.

    Uses the output of the last convolution, or of the last layer after it with the same resolution
    (normalisation, activation, merged branches). Scores are those before the final softmax or sigmoid. Each map
    is enlarged bilinearly to the image size and scaled to a maximum of 1. A map without a positive value is all 0.
    The map of an ensemble is the sum of its members' maps.
    Raises UsageError if no convolution of the model has an output larger than one pixel.
    """
    return grad_cam_of(model, images, [classes], batch_size)[0]


def grad_cam_of(model: keras.Model, images: np.ndarray, classes: Sequence[np.ndarray],
                batch_size: int = 32) -> list[np.ndarray]:
    """The heat maps of `grad_cam` for several classes of each image, int [n] each; the network is computed once."""
    images = np.asarray(images)
    if not len(images):
        return [np.zeros((0, *images.shape[1:3]), np.float32) for _ in classes]
    targets, last_layer = _targets(model, images[:1])
    maps = []
    for start in range(0, len(images), batch_size):
        chosen = [torch.as_tensor(np.asarray(of[start : start + batch_size], np.int64)) for of in classes]
        maps.append(_grad_cam(model, images[start : start + batch_size], chosen, targets, last_layer))
    return [np.concatenate(parts) for parts in zip(*maps, strict=True)]


def _grad_cam(model: Any, images: np.ndarray, classes: Sequence[torch.Tensor], targets: dict[int, int],
              last_layer: Any) -> list[np.ndarray]:
    """The heat maps of one batch for each of `classes`. targets: index of each explained layer call → its channel axis.
    """
    found: list[tuple[torch.Tensor, int]] = []
    calls = 0

    def watch(layer: Any, layer_input: Any, output: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls - 1 in targets:  # earlier layers need no gradient: the graph starts here
            output = output.detach().requires_grad_()
            found.append((output, targets[calls - 1]))
        return layer_input if layer is last_layer and isinstance(layer, keras.layers.Softmax) else output

    with torch.enable_grad(), _activation_removed(last_layer), _layers_watched(model, watch):
        scores = model(_tensor(images), training=False)
        watched = [features for features, _ in found]
        gradients = [torch.autograd.grad(scores.gather(1, of[:, None]).sum(), watched, retain_graph=True)
                     for of in classes]
    with torch.no_grad():
        return [_scaled(sum(_heat(features.detach(), gradient, axis, images.shape[1:3])
                            for (features, axis), gradient in zip(found, each, strict=True))).numpy()
                for each in gradients]


def _scaled(heat: Any) -> torch.Tensor:
    """Heat maps [n, height, width] with a maximum of 1, or all 0."""
    top = heat.amax(dim=(1, 2), keepdim=True)
    return torch.where(top > 0, heat / top.clamp_min(torch.finfo(heat.dtype).tiny), 0.0)


def _heat(features: torch.Tensor, gradient: torch.Tensor, axis: int, size: tuple[int, ...]) -> torch.Tensor:
    """The heat maps of one layer call, float32 [n, *size]; axis: the channel axis of its output and gradient."""
    channels_first = (lambda x: x) if axis == 1 else (lambda x: x.permute(0, 3, 1, 2))
    features, gradient = channels_first(features).float(), channels_first(gradient).float()
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    heat = F.relu((weights * features).sum(dim=1, keepdim=True))
    return F.interpolate(heat, size=size, mode="bilinear", align_corners=False)[:, 0]


def _targets(model: Any, image: np.ndarray) -> tuple[dict[int, int], Any]:
    """(index of each layer call to explain → the channel axis of its output, the last layer).

    An ensemble has one such call for each member with a convolution, any other network one.
    """
    calls = _trace(model, image)
    found: dict[str, tuple[int, int, tuple[int, ...]]] = {}
    for number, call in enumerate(calls):
        shape, member = _shape(call.output), _member(call.layer)
        before = found.get(member)
        if isinstance(call.layer, CONVOLUTIONS):
            axis = 1 if call.layer.data_format == "channels_first" else 3
            sides = _sides(shape, axis)
            if max(sides) > 1:
                found[member] = number, axis, sides
        elif before and len(shape) == 4 and _sides(shape, before[1]) == before[2]:
            found[member] = number, *before[1:]
    if not found:
        raise UsageError(f"Grad-CAM: the model {model.name!r} has no convolution with an output larger than one pixel; "
                         "expected a convolutional model; train one, for example with the recipe cnn2")
    return {number: axis for number, axis, _ in found.values()}, calls[-1].layer


def _member(layer: Any) -> str:
    """The member of an ensemble that a layer belongs to, by the start of its name; empty for any other network."""
    named = re.match(rf"(?:{PREFIX.format('[0-9]+')})*", layer.name)
    return named.group() if named else ""


def _sides(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[2:] if axis == 1 else shape[1:3]


def _shape(output: Any) -> tuple[int, ...]:
    return tuple(output.shape) if isinstance(output, torch.Tensor) else ()


# ----------------------------------------------------------------------------------------------------
# features


def features(model: keras.Model, images: np.ndarray, batch_size: int = 100) -> np.ndarray:
    """The penultimate features of each image, float32 [n, d]: the input of the last dense layer.

    Without a dense layer, they are the flattened input of the last layer with weights. images: as the model takes
    them. Raises UsageError if no layer has weights.
    """
    images = np.asarray(images)
    calls = _trace(model, images[:1]) if len(images) else []
    dense = [i for i, call in enumerate(calls) if isinstance(call.layer, keras.layers.Dense)]
    weighted = [i for i, call in enumerate(calls) if call.layer.weights]
    if len(images) and not weighted:
        raise UsageError(f"features: no layer of the model {model.name!r} has weights; expected a trained model; "
                         "open one that has trained layers")
    rows = [_layer_input(model, images[start : start + batch_size], (dense or weighted)[-1]).flatten(1).float().numpy()
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
    """Scale each row to length 1; rows of zeros stay zero."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)


# ----------------------------------------------------------------------------------------------------
# inputs and outputs of layers in a forward pass


def _trace(model: Any, images: np.ndarray) -> list[_Call]:
    """All layer calls of one forward pass, in order of execution, without gradients."""
    calls: list[_Call] = []

    def watch(layer: Any, layer_input: Any, output: Any) -> Any:
        calls.append(_Call(layer, layer_input, output))
        return output

    with torch.no_grad(), _layers_watched(model, watch):
        model(_tensor(images), training=False)
    return calls


def _layer_input(model: Any, images: np.ndarray, number: int) -> torch.Tensor:
    """The input of layer call `number` in a forward pass. Keeps no other tensor, to save memory."""
    calls, found = itertools.count(), []

    def watch(layer: Any, layer_input: Any, output: Any) -> Any:
        if next(calls) == number:
            found.append(layer_input)
        return output

    with torch.no_grad(), _layers_watched(model, watch):
        model(_tensor(images), training=False)
    return found[0]


def _tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(images, np.float32))


def _leaves(model: Any) -> list[Any]:
    """All layers that contain no other layer, at any depth."""
    layers = [layer for layer in model._flatten_layers(include_self=False) if not layer._layers]
    return list({id(layer): layer for layer in layers}.values())


@contextlib.contextmanager
def _layers_watched(model: Any, watch: Callable[[Any, Any, Any], Any]) -> Iterator[None]:
    """Within the block, `watch(layer, input, output)` sees each call of a leaf layer and returns its output.

    Keras layers call no PyTorch hooks, so this replaces `call` on each instance. It works for nested, shared and
    subclassed models.
    """
    leaves = [layer for layer in _leaves(model) if not isinstance(layer, keras.layers.InputLayer)]

    def replace_call(layer: Any) -> None:
        inner = layer.call

        def call(*args: Any, **kwargs: Any) -> Any:
            layer_input = args[0] if args else next(iter(kwargs.values()), None)
            return watch(layer, layer_input, inner(*args, **kwargs))

        object.__setattr__(layer, "call", call)

    for layer in leaves:
        replace_call(layer)
    try:
        yield
    finally:
        for layer in leaves:
            object.__delattr__(layer, "call")


@contextlib.contextmanager
def _activation_removed(layer: Any) -> Iterator[None]:
    """Within the block, a softmax or sigmoid activation of the layer is replaced by the identity."""
    before = getattr(layer, "activation", None)
    if before not in OUTPUT_ACTIVATIONS:
        yield
        return
    layer.activation = keras.activations.linear
    try:
        yield
    finally:
        layer.activation = before
