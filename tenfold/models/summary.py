"""What a model is made of: Keras' summary, parameters, operations for one image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from tenfold.models import build
from tenfold.recipe import ModelSection


@dataclass(frozen=True)
class Summary:
    """`text` is Keras' table of layers; `flops` counts multiplications and additions of one forward image."""

    text: str
    parameters: int
    flops: int

    @classmethod
    def of(cls, section: ModelSection, shape: tuple[int, int, int], classes: int) -> Summary:
        """Build the plain model of a recipe's `[model]` section and measure it."""
        model = build(section, shape, classes)
        lines: list[str] = []
        model.summary(print_fn=lambda line, **_: lines.append(line), line_length=80)
        counter = FlopCounterMode(display=False)
        with torch.inference_mode(), counter:
            model(torch.zeros(1, *shape), training=False)
        return cls("\n".join(lines), model.count_params(), counter.get_total_flops())
