"""Whether a `model.keras` that Tenfold writes loads in older versions of Keras, and predicts the same there.

    python -m benchmarks.old_keras [--versions 3.4 3.6 …] [--environments DIR] [--no-install]

Each version gets an environment of its own, with JAX: another backend than the files were written on. A version that
names an unknown setting is one that `tenfold.modelfile.ADDED` lacks.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environments import AbsentError, Environment, add_options
from benchmarks.side_by_side import Contender

VERSIONS = ("3.4", "3.6", "3.9", "3.12", "3.14")
TOLERANCE = 1e-4  # of a probability: another backend adds up in another order
SHAPE = (32, 32, 3)
MODELS: dict[str, dict[str, Any]] = {
    "mlp": {"name": "mlp"},
    "cnn": {"name": "cnn"},
    "resized": {"name": "cnn", "image_size": 48},
    "speednet": {"name": "speednet"},
    "pretrained": {"name": "pretrained", "backbone": "ResNet50", "weights": "none"},
    "probe": {"name": "pretrained", "backbone": "MobileNetV3Small", "weights": "none", "trainable": "none"},
}


def contender(version: str, folder: Path) -> Contender:
    """The program that loads the files of a folder, in an environment with that version of Keras."""
    environment = Environment(f"keras-{version}", (f"keras=={version}.*", "jax>=0.4.35,<0.11"))
    return Contender(f"keras {version}", "keras_load", (str(folder),), environment, {"KERAS_BACKEND": "jax"})


def write(folder: Path, names: Iterable[str] = tuple(MODELS)) -> None:
    """Write models with random weights, each with images and the probabilities that it gives for them."""
    from tenfold import modelfile
    from tenfold.models import build
    from tenfold.recipe import Recipe

    images = np.random.default_rng(0).integers(0, 256, (2, *SHAPE)).astype("float32")
    for name in names:
        model = build(Recipe.from_dict({"model": MODELS[name]}).model, SHAPE, 3)
        modelfile.save(model, folder / f"{name}.keras", {"classes": ["a", "b", "c"], "shape": list(SHAPE)})
        np.savez(folder / f"{name}.npz", images=images, probabilities=model.predict(images, verbose=0))


def report(result: dict[str, Any]) -> tuple[list[str], bool]:
    """(a line for each model, whether all of them load and predict the same)."""
    lines, good = [], True
    for name, found in result["differences"].items():
        same = not isinstance(found, str) and found <= TOLERANCE
        good &= same
        said = found if isinstance(found, str) else f"differs by {found:.1e}"
        where = f"keras {result['version']} on {result['backend']}: {name}"
        lines.append(f"{where}: {'' if same else 'NOT THE SAME: '}{said}")
    return lines, good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--versions", nargs="+", default=VERSIONS, metavar="VERSION")
    add_options(parser)
    arguments = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory(prefix="tenfold-old-keras-") as name:
        write(Path(name))
        for version in arguments.versions:
            try:
                result = contender(version, Path(name)).run(arguments.environments, not arguments.no_install)
            except AbsentError as absent:
                print(f"keras {version}: absent: {absent}", flush=True)
                continue
            lines, same = report(result)
            good &= same
            print(*lines, sep="\n", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
