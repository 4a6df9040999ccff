"""Export formats, one file each: how a model is written in the format, and how the written file is computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.export.source import Source

Answer = Callable[[np.ndarray], dict[str, np.ndarray]]  # uint8 [b, *shape] → output → float32 [b, columns]


@dataclass(frozen=True)
class Format:
    """One export format.

    suffix: of the file, or of the folder if `folder` names a file that each of them holds; write: writes a source to a
    path that does not exist, with its facts inside; read: opens the written model, for the check; quantize: the same as
    `write` in int8, calibrated on images uint8 [n, *shape] (None: the format has no int8); restate: replaces the facts
    in an int8 model by those of another source; check, check_int8: raise MissingExtraError if what it needs is not
    installed.
    """

    suffix: str
    write: Callable[[Source, Path], None]
    read: Callable[[Path], Answer]
    folder: str = ""
    quantize: Callable[[Source, Path, np.ndarray], None] | None = None
    restate: Callable[[Source, Path], None] | None = None
    check: Callable[[], object] = lambda: None
    check_int8: Callable[[], object] = lambda: None
