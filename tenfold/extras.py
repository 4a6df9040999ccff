"""Optional dependencies: a missing one fails on use, with the command that installs it."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator

from tenfold.errors import MissingExtraError


@contextlib.contextmanager
def needed_for(what: str, extra: str) -> Iterator[None]:
    """Within it, a failed import raises MissingExtraError, which says how to install the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"{what}: the package {error.name} is not installed; install it with: "
                                f"pip install 'tenfold[{extra}]'") from None


def check_installed(what: str, extra: str, *modules: str) -> None:
    """Raise MissingExtraError if one of these modules can't be found; imports none of them."""
    with needed_for(what, extra):
        for module in modules:
            if not installed(module):
                raise ModuleNotFoundError(name=module)


def installed(*modules: str) -> bool:
    """Whether all these modules can be found; imports none of them."""
    return all(importlib.util.find_spec(module) is not None for module in modules)
