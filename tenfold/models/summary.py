"""Size of a model: parameters, operations per image, Keras' table of layers."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from tenfold.backend import computing_shapes
from tenfold.foreign.load import without_memory
from tenfold.models import build, build_without_memory, has_own_layers
from tenfold.recipe import ModelSection


@dataclass(frozen=True)
class Summary:
    """The size of a model; `flops` counts the multiplications and additions of one image's forward pass."""

    parameters: int
    flops: int

    @classmethod
    def of(cls, section: ModelSection, shape: tuple[int, int, int], classes: int) -> Summary:
        """Build the plain model of a recipe's `[model]` section, without memory, and count."""
        counter = FlopCounterMode(display=False)
        model = build_without_memory(section, shape, classes)
        own = has_own_layers(section)
        memory = contextlib.nullcontext() if own else without_memory()
        with memory, computing_shapes(), torch.no_grad(), counter:
            model(torch.zeros(1, *shape, device="cpu" if own else "meta"), training=False)
        return cls(model.count_params(), counter.get_total_flops())


def layer_table(section: ModelSection, shape: tuple[int, int, int], classes: int) -> str:
    """Keras' table of layers for the plain model of a recipe's `[model]` section."""
    lines: list[str] = []
    build(section, shape, classes).summary(print_fn=lambda line, **_: lines.append(line), line_length=80)
    return "\n".join(lines)
