"""[E] Checkpoints: the weights and optimizer state of an epoch, as numpy arrays in one file.

Every random draw follows from (seed, epoch, step) and every decision from the history, so this and
the run's other files are all that the rest of a training depends on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tenfold.errors import RunError
from tenfold.run import Run


def save(run: Run, name: str, epoch: int, model: Any, optimizer: Any) -> None:
    """Write `checkpoints/<name>.npz` ("last" or "best") after an epoch (0: the initial weights)."""
    arrays: dict[str, Any] = {f"weights/{i}": np.asarray(w) for i, w in enumerate(model.get_weights())}
    arrays |= {f"optimizer/{i}": np.asarray(v.numpy()) for i, v in enumerate(optimizer.variables)}

    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.savez(file, epoch=np.int64(epoch), **arrays)

    run.write(f"checkpoints/{name}.npz", write)


def weights(run: Run, name: str) -> tuple[int, list[np.ndarray]]:
    """(epoch, the model's weights in Keras' order). Raises RunError if there is no such checkpoint."""
    path = run.path / "checkpoints" / f"{name}.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            count = sum(key.startswith("weights/") for key in arrays.files)
            return int(arrays["epoch"]), [arrays[f"weights/{i}"] for i in range(count)]
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{path}: no readable checkpoint ({error})") from None
