"""Pickled arrays from the web, read without running what a pickle may hold."""

from __future__ import annotations

import _codecs
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.errors import DataError

# All that the pickle of an array calls. NumPy 2 moved its module, files name the old place.
ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _codecs.encode,
    ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
    ("numpy._core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
}


class _ArrayUnpickler(pickle.Unpickler):
    """Builds containers, numbers, strings and arrays, and refuses every other global."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise DataError(f"the pickle asks for {module}.{name}; expected only arrays, so it is not "
                            "trusted")
        return ALLOWED[module, name]


def unpickle_arrays(path: Path) -> Any:
    """The object in a pickle file of plain containers and NumPy arrays; Python 2 strings come as bytes.

    Raises DataError, with the file name, if it is damaged or names any other class or function.
    """
    try:
        with path.open("rb") as file:
            return _ArrayUnpickler(file, encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{path}: {error}; get the official file again") from None
    except Exception as error:  # a damaged pickle may raise anything
        raise DataError(f"{path}: no complete pickle ({error or type(error).__name__}); "
                        "expected a batch of images; get the official file again") from None
