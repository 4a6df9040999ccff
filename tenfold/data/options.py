"""The options in a data set's URI: `shapes:difficulty=0.5,seed=1`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenfold.errors import UsageError, unknown


@dataclass(frozen=True)
class Option:
    """A numeric option with its default, limits and meaning. If the default is an int, only whole numbers are valid."""

    default: int | float
    lowest: int | float
    highest: int | float
    meaning: str = ""

    def parse(self, text: str) -> int | float | None:
        """The value of `text`; None if it is not a number of that type or outside the limits."""
        try:
            value = int(text) if isinstance(self.default, int) else float(text)
        except ValueError:
            return None
        return value if self.lowest <= value <= self.highest else None  # NaN and infinity are not within

    def describe(self) -> str:
        """The valid values, in words."""
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        return f"{kind} from {self.lowest} to {self.highest}"


@dataclass(frozen=True)
class Choice:
    """An option with a few valid words; the first is the default."""

    words: tuple[str, ...]

    @property
    def default(self) -> str:
        return self.words[0]

    def parse(self, text: str) -> str | None:
        """The word itself; None if it is not valid."""
        return text if text in self.words else None

    def describe(self) -> str:
        """The valid words, in words."""
        return " or ".join(self.words)


def parse_options(source: str, text: str, options: Mapping[str, Option | Choice]) -> dict[str, Any]:
    """The values of all options of `source`, from `text` (`key=value,key=value`) or by default.

    Raises UsageError with all errors in one line: unknown or repeated keys, invalid values.
    """
    values: dict[str, Any] = {key: option.default for key, option in options.items()}
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
    """Raise UsageError if options are given for a source that has none."""
    if text.strip():
        raise UsageError(f"data set {source} has no options; received {text.strip()!r}; expected only {source!r}")
