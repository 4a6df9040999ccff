"""TOML files that come with Tenfold, by name, and those of one's own, by path."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from tenfold.errors import UnknownNameError, UsageError


def texts(folder: str) -> dict[str, str]:
    """The files of a folder of the package: name → TOML text, in the order of the names."""
    files = sorted((resources.files("tenfold") / folder).iterdir(), key=lambda file: file.name)
    return {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8")
            for file in files if file.name.endswith(".toml")}


def text_of(kind: str, folder: str, name_or_path: str | Path) -> tuple[str, str]:
    """(name, TOML text) of a shipped file or of a path that ends in `.toml`; `kind` says what it holds.

    Raises UnknownNameError, and UsageError for a file that can't be read.
    """
    known = texts(folder)
    if str(name_or_path) in known:
        return str(name_or_path), known[str(name_or_path)]
    path = Path(name_or_path)
    if path.suffix != ".toml":
        raise UnknownNameError(f"{kind} (nor a path to a .toml file)", str(name_or_path), known)
    try:
        return path.stem, path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise UsageError(f"{kind} file {path}: can't be read: {reason}") from None
