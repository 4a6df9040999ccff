"""Networks for prediction: a graph as a list of calls, with batch normalisation inside the convolutions.

In a network that is no longer trained, batch normalisation is a scale and a shift of each channel. Both go into the
kernel and the bias of the convolution before it, which saves a pass over memory. Images are computed in parts, so that
feature maps fit into the cache and memory does not depend on the size of a batch.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from tenfold.backend import keras
from tenfold.models import fused
from tenfold.models.layers import BatchNormalization, Convolution, ReLU6, activate

LARGEST_MAP = 1 << 25  # numbers in the largest feature map of a part of the images

Compute = Callable[[torch.Tensor], torch.Tensor]


def compiled(network: keras.Model) -> Compute:
    """A function that computes a fast network of one input and one output in inference mode.

    It takes and returns what the network does, [n, …]. The weights must stay as they are: those of convolutions may be
    copied or changed into others, all the rest belong to the network.
    """
    steps, first, last = _recorded(network)
    steps = _fused(steps, last)
    end_of_use = {slot: number for number, step in enumerate(steps) for slot in step.taken()}
    needed = {*end_of_use, last}
    numbers = max(math.prod(side or 1 for side in output.shape[1:])
                  for layer in network.layers for output in keras.tree.flatten(layer.output))
    part = max(1, LARGEST_MAP // numbers)

    def compute(x: torch.Tensor) -> torch.Tensor:
        values = {first: x}
        for number, step in enumerate(steps):
            given, options = keras.tree.map_structure(
                lambda each: values[each] if isinstance(each, _Slot) else each, step.given)
            found = step.call(*given, **options)
            if isinstance(found, torch.Tensor):
                values[step.results[0]] = found
            else:
                pairs = zip(step.results, keras.tree.flatten(found), strict=False)
                values.update(pair for pair in pairs if pair[0] in needed)
            for slot in step.taken():
                if end_of_use[slot] == number and slot is not last:
                    values.pop(slot, None)
        return values[last]

    return lambda x: compute(x) if len(x) <= part else torch.cat([compute(each) for each in x.split(part)])


class _Slot:
    """Stands for a tensor while the graph is recorded."""


@dataclass
class _Step:
    """A call of an operation: its arguments (by position, by name), slots for tensors, and the slots of its results.

    An operation may give fewer results in one call than in another.
    """

    operation: Any
    call: Callable[..., Any]
    given: tuple[tuple[Any, ...], dict[str, Any]]
    results: list[_Slot]

    def taken(self) -> list[_Slot]:
        return [each for each in keras.tree.flatten(self.given) if isinstance(each, _Slot)]


def _recorded(network: keras.Model) -> tuple[list[_Step], _Slot, _Slot]:
    """(calls in order, slot of the input, slot of the output)."""
    steps: list[_Step] = []

    def record(operation: Any) -> Callable[..., Any]:
        def recorded(*given: Any, **options: Any) -> list[_Slot]:
            if isinstance(operation, keras.layers.Layer) and operation._call_has_training_arg:
                options["training"] = False
            most = max(len(node.outputs) for node in operation._inbound_nodes)
            steps.append(_Step(operation, operation, (given, options), [_Slot() for _ in range(most)]))
            return steps[-1].results
        return (lambda x: x) if isinstance(operation, keras.layers.InputLayer) else recorded

    first = _Slot()
    return steps, first, network._run_through_graph(first, operation_fn=record)


def _fused(steps: list[_Step], last: _Slot) -> list[_Step]:
    """The calls; batch normalisation and activations are part of the convolutions before them."""
    uses = Counter(slot for step in steps for slot in step.taken())
    made: list[_Step] = []
    by_result: dict[_Slot, _Step] = {}
    for step in steps:
        taken = step.taken()
        before = by_result.get(taken[0]) if len(taken) == 1 else None
        if isinstance(step.operation, Convolution):
            step.call = _Convolution(step.operation)
        elif (before is not None and isinstance(before.call, _Convolution) and uses[taken[0]] == 1
              and taken[0] is not last and before.call.take(step.operation)):
            before.results = step.results
            by_result[step.results[0]] = before
            continue
        made.append(step)
        by_result.update(dict.fromkeys(step.results, step))
    return made


class _Convolution:
    """A convolution layer that takes the layers after it into its kernel, its bias and its activations."""

    def __init__(self, layer: Convolution) -> None:
        own: Any = layer
        self.layer, self.dtype = layer, getattr(torch, own.compute_dtype)
        self.kernel, self.bias = own.torch_kernel().detach(), own.bias._value.detach() if own.use_bias else None
        self.activations: list[tuple[str, Compute]] = []
        self._passes: dict[torch.Size, Compute] = {}  # by height and width
        self._activate(own)

    def take(self, layer: Any) -> bool:
        """Take in a layer that is called on the output; false if that is impossible."""
        if not isinstance(layer, keras.layers.Layer) or getattr(torch, layer.compute_dtype) != self.dtype:
            return False
        if isinstance(layer, BatchNormalization) and not self.activations:
            scale = torch.rsqrt(layer.moving_variance._value + layer.epsilon)
            scale = scale * layer.gamma._value if layer.scale else scale
            shift = layer.beta._value - layer.moving_mean._value * scale
            self.kernel = (self.kernel * scale[:, None, None, None]).detach()
            self.bias = (shift if self.bias is None else self.bias * scale + shift).detach()
        elif isinstance(layer, ReLU6):
            self.activations.append(("relu6", lambda y: F.relu6(y, inplace=True)))
        elif isinstance(layer, keras.layers.Activation):
            self._activate(layer)
        else:
            return False
        return True

    def _activate(self, layer: Any) -> None:
        name = getattr(layer.activation, "__name__", "")  # a layer has none
        if name != "linear":
            self.activations.append((name, lambda y: activate(layer, y)))

    def __call__(self, x: torch.Tensor, **_: bool) -> torch.Tensor:
        x = x.to(self.dtype)
        if self.kernel.dtype != x.dtype:
            self.kernel, self.bias = self.kernel.to(x.dtype), None if self.bias is None else self.bias.to(x.dtype)
        activations = self.activations
        if fused.possible(x):
            if x.shape[2:] not in self._passes:
                known = activations[0][0] if activations else "linear"
                self._passes[x.shape[2:]] = fused.convolution(self.layer, self.kernel, self.bias, known, x)
            y = self._passes[x.shape[2:]](x)
            activations = [each for each in activations[:1] if each[0] not in fused.ACTIVATIONS] + activations[1:]
        else:
            y = self.layer.convolve(x, self.kernel, self.bias)
        for _name, activation in activations:
            y = activation(y)
        return y
