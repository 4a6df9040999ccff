"""Parse TOML of unknown origin: whatever is wrong with it, and whatever would take too long, is one ValueError."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from tenfold.errors import first_line

DEEPEST = 16  # most levels of nested tables; recipes and studies need far fewer
# A dotted key of 32 parts; the parser takes time with the square of their number. A search takes linear time, because a
# match starts only where a key does and never backs up.
LONG_KEY = re.compile(r"""(?<![\w"'.-])(?:(?:[\w-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){32}""")


def parse(text: str) -> dict[str, Any]:
    """The tables in a TOML text. Raises ValueError with the reason in one line."""
    if LONG_KEY.search(text):
        raise ValueError("invalid TOML: a dotted key has more than 32 parts")
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"invalid TOML: {first_line(error)}") from None
    level: list[Any] = [tree]
    for _ in range(DEEPEST):
        level = [value for table in level for value in table.values() if isinstance(value, dict)]
    if level:
        raise ValueError(f"invalid TOML: tables are nested more than {DEEPEST} levels deep")
    return tree
