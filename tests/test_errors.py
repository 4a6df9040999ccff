"""Errors: one tree, an exit code and a stable code each."""

from __future__ import annotations

import inspect

from tenfold import errors
from tenfold.errors import RecipeError, TenfoldError, UnknownNameError

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, TenfoldError)]


def test_the_docstring_shows_the_actual_tree_of_errors() -> None:
    drawn = [line.strip("│├└─ ").split()[0] for line in (errors.__doc__ or "").splitlines() if "Error " in line
             and line.startswith("    ")]
    assert sorted(drawn) == sorted(kind.__name__ for kind in KINDS)


def test_the_codes_are_words_and_differ() -> None:
    codes = [kind.code.fget(kind.__new__(kind)) for kind in KINDS]
    assert len(set(codes)) == len(KINDS)
    assert UnknownNameError("recipe", "x", ["y"]).code == "unknown_name"


def test_one_validation_error_is_one_line_and_several_have_a_heading() -> None:
    assert str(RecipeError("recipe x", ["train.epochs: bad"])) == "recipe x: train.epochs: bad"
    assert str(RecipeError("recipe x", ["a: bad", "b: bad"])) == "recipe x: 2 errors\n  a: bad\n  b: bad"
