"""TOML files: those shipped with Tenfold by name, the user's own by path."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from tenfold.errors import UnknownNameError, UsageError
from tenfold.storage.paths import read_small

LARGEST = 1 << 20  # bytes of a recipe or study


def texts(folder: str) -> dict[str, str]:
    """The TOML files in a folder of the package: name → text, sorted by name."""
    files = sorted((resources.files("tenfold") / folder).iterdir(), key=lambda file: file.name)
    return {file.name.removesuffix(".toml"): file.read_text(encoding="utf-8")
            for file in files if file.name.endswith(".toml")}


def text_of(kind: str, folder: str, name_or_path: str | Path) -> tuple[str, str]:
    """(name, text) of a shipped file, or of a path that ends in `.toml`; `kind` names the content in errors.

    Raises UnknownNameError for an unknown name, and UsageError for an unreadable file.
    """
    known = texts(folder)
    if str(name_or_path) in known:
        return str(name_or_path), known[str(name_or_path)]
    path = Path(name_or_path)
    if path.suffix != ".toml":
        raise UnknownNameError(kind, str(name_or_path), [*known, "the path of a .toml file"])
    try:
        return path.stem, read_small(path, LARGEST).decode()
    except (OSError, ValueError) as error:
        unreadable = isinstance(error, UnicodeDecodeError)
        reason = "not UTF-8 text" if unreadable else getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{kind} file {path}: can't be read: {reason}") from None
