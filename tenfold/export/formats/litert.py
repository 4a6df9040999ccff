"""LiteRT, formerly TensorFlow Lite: a `.tflite` file with the signature `serving_default`, for one image at a time.

The converter (litert-torch 0.10) knows no batches of any size. The facts are the file `tenfold.json` in a zip archive
at the end of the file, where LiteRT's metadata has label files.
"""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import torch

from tenfold.errors import ExportError, first_line
from tenfold.export.engine import Raw
from tenfold.export.formats import Answer, Format
from tenfold.export.source import Source
from tenfold.extras import check_installed, needed_for
from tenfold.models import twin
from tenfold.registry import FORMATS
from tenfold.runtimes.exported import KEY, OUTPUTS


class Named(torch.nn.Module):
    """A network with its outputs by their names."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(zip(OUTPUTS, self.network(pixels), strict=True))


def write(source: Source, path: Path) -> None:
    os.environ.setdefault("LITERT_TORCH_SHOW_PROGRESS", "n")  # it would write to standard output
    with needed_for("the format litert", "litert"):
        import litert_torch

    run = source.run
    network = twin(run.recipe().model if run.has("recipe.toml") else None, source.plain)
    image = torch.zeros((1, *source.facts["shape"]), dtype=torch.uint8)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # about PyTorch's own deprecations
        try:
            converted = litert_torch.convert(Named(Raw(network, source.temperature)).eval(),
                                             sample_kwargs={"pixels": image})
        except Exception as error:  # whatever an operation without a LiteRT form leads to
            raise ExportError(f"LiteRT can't take the model: {first_line(error)}; choose another format, for example "
                              "onnx") from None
    converted.export(str(path))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{KEY}.json", json.dumps(source.facts, ensure_ascii=False))


def read(path: Path) -> Answer:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path)).get_signature_runner()

    def answer(images: np.ndarray) -> dict[str, np.ndarray]:
        rows = [runner(pixels=images[i : i + 1]) for i in range(len(images))]
        return {name: np.concatenate([row[name] for row in rows]) for name in OUTPUTS}

    return answer


FORMATS.add("litert")(Format(
    ".tflite", write, read, check=partial(check_installed, "the format litert", "litert", "litert_torch")))
