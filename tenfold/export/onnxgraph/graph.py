"""An ONNX graph under construction: nodes, constants, and the memory layout of feature maps.

Keras keeps channels last, ONNX computes with channels first. Each value knows its layout, so that feature maps are
transposed only where a layer needs the other one: once after the image and seldom again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 20  # the first with Gelu; ONNX Runtime, its web version and OpenVINO know it
IR_VERSION = 9  # the version of the file format that belongs to it
SMALL = 64  # numbers in a constant that may be shared


@dataclass(frozen=True)
class Value:
    """A tensor of the graph. `shape` is Keras' shape of one image's part; `first`: channels come first in ONNX."""

    name: str
    shape: tuple[int, ...]
    first: bool = False


class Graph:
    """Collects nodes and constants. `scope` is the name of the Keras layer whose nodes are being added."""

    def __init__(self) -> None:
        self.scope = ""
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._tensors: list[onnx.TensorProto] = []
        self._names: dict[str, int] = {}
        self._transposed: dict[str, str] = {}

    def constant(self, array: Any, dtype: Any = np.float32) -> str:
        """The name of a constant; equal small ones are stored once."""
        array = np.asarray(array, dtype, order="C")
        key = str(array.dtype), array.shape, array.tobytes() if array.size <= SMALL else b""
        if array.size > SMALL or key not in self._constants:
            self._constants[key] = self._name("constant")
            self._tensors.append(numpy_helper.from_array(array, self._constants[key]))
        return self._constants[key]

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output and return the output's name. An empty input name is an omitted input."""
        output = self._name(kind)
        self._nodes.append(helper.make_node(kind, list(inputs), [output], output, **attributes))
        return output

    def channels_first(self, value: Value) -> str:
        """The name of a value with its channels first."""
        return value.name if value.first or len(value.shape) != 3 else self._transpose(value.name, [0, 3, 1, 2])

    def channels_last(self, value: Value) -> str:
        """The name of a value in Keras' order."""
        return self._transpose(value.name, [0, 2, 3, 1]) if value.first else value.name

    def per_channel(self, numbers: Any, value: Value) -> str:
        """A constant of one number, or of one per channel, that broadcasts along the channels of a value."""
        numbers = np.asarray(numbers, np.float32)
        flat = numbers.reshape(-1) if numbers.size > 1 else numbers.reshape(())
        return self.constant(flat.reshape(-1, 1, 1) if value.first and flat.size > 1 else flat)

    def model(self, shape: tuple[int, int, int], outputs: dict[str, tuple[str, int]], metadata: dict[str, str],
              ) -> onnx.ModelProto:
        """The finished model from uint8 [n, *shape] to `outputs`: name → (value, columns), each float32 [n, columns].

        `metadata` is stored in the model's properties.
        """
        renamed = [helper.make_node("Identity", [name], [output]) for output, (name, _) in outputs.items()]
        graph = helper.make_graph(
            [*self._nodes, *renamed], "tenfold",
            [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", *shape])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", columns])
             for output, (_, columns) in outputs.items()],
            self._tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="tenfold",
                                  ir_version=IR_VERSION)
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model)
        return model

    def _transpose(self, name: str, order: list[int]) -> str:
        if name not in self._transposed:
            self._transposed[name] = self.node("Transpose", name, perm=order)
            self._transposed[self._transposed[name]] = name
        return self._transposed[name]

    def _name(self, kind: str) -> str:
        name = f"{self.scope}/{kind}" if self.scope else kind
        self._names[name] = number = self._names.get(name, 0) + 1
        return name if number == 1 else f"{name}_{number}"
