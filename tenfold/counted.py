"""Numbers with the noun and the verb that fit them: "1 image is", "2,000 images are"."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """A number and its noun, given in the singular: "1 class", "2,000 calibration images", "0 entries"."""
    return f"{number:,} {noun if number == 1 else _plural(noun)}"


def are(number: float, one: str = "is", more: str = "are") -> str:
    """The verb for a number of things."""
    return one if number == 1 else more


def _plural(noun: str) -> str:
    """The regular plural, which ends the last word."""
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "sh", "tch", "rch")) else f"{noun}s"
