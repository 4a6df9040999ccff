"""The options in a data set's URI: `shapes:difficulty=0.5,seed=1`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tenfold.errors import UsageError, unknown


@dataclass(frozen=True)
class Option:
    """A number with its default and its limits; a default that is an int asks for whole numbers."""

    default: int | float
    lowest: int | float
    highest: int | float

    def parse(self, text: str) -> int | float | None:
        """The value that `text` gives, None if it is no such number or out of the limits."""
        try:
            value = int(text) if isinstance(self.default, int) else float(text)
        except ValueError:
            return None
        return value if math.isfinite(value) and self.lowest <= value <= self.highest else None

    def describe(self) -> str:
        """The values that are accepted, in words."""
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{kind} from {self.lowest} to {self.highest}"


def parse_options(source: str, text: str, options: Mapping[str, Option]) -> dict[str, int | float]:
    """The values of all options of `source`: those that `text` (`key=value,key=value`) gives, else defaults.

    Raises UsageError with every mistake in one line: unknown or repeated keys, values out of limits.
    """
    values = {key: option.default for key, option in options.items()}
    given: set[str] = set()
    problems = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        key, equals, received = (piece.strip() for piece in part.partition("="))
        if not equals:
            problems.append(f"{part!r}: expected key=value, as in {next(iter(options))}=…")
        elif key not in options:
            problems.append(unknown("option", key, options))
        elif key in given:
            problems.append(f"{key}: given twice; give it once")
        elif (value := options[key].parse(received)) is None:
            problems.append(f"{key}: received {received!r}; expected {options[key].describe()}")
        else:
            values[key] = value
        given.add(key)
    if problems:
        raise UsageError(f"data set {source}: {'; '.join(problems)}")
    return values


def take_no_options(source: str, text: str) -> None:
    """Raises UsageError if there is anything after the name of a source that has no options."""
    if text.strip():
        raise UsageError(f"data set {source} takes no options, received {text.strip()!r}; "
                         f"write {source!r} alone")
