"""Arrays as JSON: float16 with a common scale, in base64."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

MOST_NUMBERS = 4_000_000  # in an array: what Tenfold writes has fewer


def pack(values: np.ndarray) -> dict[str, Any]:
    """Finite numbers of any shape: {"shape", "scale", "float16"}; each keeps three digits of the largest."""
    scale = float(np.abs(values).max(initial=0.0)) or 1.0
    content = (values / scale).astype("<f2").tobytes()
    return {"shape": list(values.shape), "scale": scale, "float16": base64.b64encode(content).decode()}


def unpack(packed: Mapping[str, Any]) -> np.ndarray:
    """The array float32. Raises ValueError if it is damaged."""
    shape, scale = packed["shape"], float(packed["scale"])
    if math.prod(shape) > MOST_NUMBERS or not math.isfinite(scale):
        raise ValueError(f"an array of shape {shape} and scale {scale}")
    try:
        values = np.frombuffer(base64.b64decode(packed["float16"], validate=True), "<f2").astype(np.float32)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"an array is damaged: {error}") from None
    if values.size != math.prod(shape) or not np.isfinite(values).all():
        raise ValueError(f"an array does not have the shape {shape}, or is not finite")
    return (values * np.float32(scale)).reshape(shape)
