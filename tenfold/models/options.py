"""Types of model options; pydantic validates the values of a recipe against them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, Field


def _one_or_more(value: object) -> object:
    """`hidden = 64` means `hidden = [64]`."""
    return value if isinstance(value, (list, tuple)) else [value]


Width = Annotated[int, Field(ge=1, le=65536)]
Widths = Annotated[list[Width], Field(min_length=1, max_length=16), BeforeValidator(_one_or_more)]
OptionalWidths = Annotated[list[Width], Field(max_length=16), BeforeValidator(_one_or_more)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Activation = Literal["relu", "gelu", "silu", "elu", "tanh"]
Initial = Literal["glorot", "dirac"]

ModelFunction = TypeVar("ModelFunction", bound=Callable[..., Any])


def takes_pixels(function: ModelFunction) -> ModelFunction:
    """Decorator for a model function that takes raw pixels 0–255 and scales them itself."""
    function.takes_pixels = True  # type: ignore[attr-defined]
    return function
