"""Load every `.keras` file of a directory and predict with it. Needs keras and the backend of KERAS_BACKEND.

Beside each `NAME.keras` lies `NAME.npz` with `images` and the `probabilities` that are expected of them. Prints, by
name, the largest difference or what Keras said instead.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np


def difference(path: Path) -> float | str:
    """Between the probabilities that were expected and those of the model; a text if it can't be had."""
    expected = np.load(path.with_suffix(".npz"))
    try:
        model = keras.saving.load_model(path, compile=False)
        probabilities = model.predict(expected["images"], verbose=0)
    except Exception as error:  # whatever an old version runs into is what is asked for
        return str(error).strip().splitlines()[-1][-300:]
    return float(abs(probabilities - expected["probabilities"]).max())


def main() -> None:
    found = {path.stem: difference(path) for path in sorted(Path(sys.argv[1]).glob("*.keras"))}
    print(json.dumps({"version": keras.__version__, "backend": keras.backend.backend(), "differences": found}))


if __name__ == "__main__":
    main()
