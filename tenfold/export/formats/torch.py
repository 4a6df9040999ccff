"""PyTorch: an ExportedProgram, its facts in the extra file `tenfold`. `torch.export.load` needs no Keras."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import torch

from tenfold.export.engine import Raw
from tenfold.export.formats import Answer, Format
from tenfold.export.source import Source
from tenfold.models import twin
from tenfold.registry import FORMATS
from tenfold.runtimes.exported import KEY, OUTPUTS


def write(source: Source, path: Path) -> None:
    run = source.run
    network = twin(run.recipe().model if run.has("recipe.toml") else None, source.plain)
    images = torch.zeros((2, *source.facts["shape"]), dtype=torch.uint8)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # about PyTorch's own deprecations
        program = torch.export.export(Raw(network, source.temperature).eval(), (images,), strict=False,
                                      dynamic_shapes=({0: torch.export.Dim("n", min=1)},))
        torch.export.save(program, path, extra_files={KEY: json.dumps(source.facts)})


def read(path: Path) -> Answer:
    module = torch.export.load(path).module()

    def answer(images: np.ndarray) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            return {name: output.numpy() for name, output in
                    zip(OUTPUTS, module(torch.from_numpy(images)), strict=True)}

    return answer


FORMATS.add("torch")(Format(".pt2", write, read))
