"""Validation errors as sentences: the key, the value received, the valid choices, a suggestion."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tenfold.errors import in_one_line, shown, unknown

INPUT = "Input should be "  # how pydantic begins most of its messages


def explain(error: ValidationError, schema: type[BaseModel], prefix: str = "", more: Iterable[str] = ()) -> list[str]:
    """One line for each invalid key: the key, the value received, what was expected, a suggestion."""
    found = error.errors(include_url=False)
    lines, unions = [], _unions(found)
    for item in found:
        kinds = unions.get(item["loc"][:-1])
        location = [str(part) for part in (item["loc"][:-1] if kinds else item["loc"])]
        key = in_one_line(".".join([prefix, *location] if prefix else location))
        received, context = item["input"], item.get("ctx", {})
        if kinds:
            lines.append(f"{key}: received {shown(received)}; expected {' or '.join(kinds)}")
        elif item["type"] == "extra_forbidden":
            siblings = [*_fields_at(schema, location[:-1]), *more]
            lines.append(f"{key}: {unknown('key', location[-1], siblings)}")
        elif item["type"] == "literal_error":
            choices = [str(c) for c in _choices(schema, location)] or [context.get("expected", "")]
            lines.append(f"{key}: {unknown('value', str(received), choices)}")
        elif item["type"] in ("model_type", "dict_type"):
            lines.append(f"{key}: received {shown(received)}; expected a table")
        elif item["type"] == "missing":
            lines.append(f"{key}: missing; expected {_meaning(schema, location) or 'a value'}")
        else:
            lines.append(f"{key}: received {shown(received)}; {_expectation(item['msg'])}")
    return list(dict.fromkeys(lines))


def _unions(errors: list[ErrorDetails]) -> dict[tuple[int | str, ...], list[str]]:
    """The expected types in words, by location, for fields of several types (pydantic reports each type separately)."""
    found: dict[tuple[int | str, ...], list[str]] = {}
    for item in errors:
        *_, kind = item["loc"] or ("",)
        if item["type"] == "literal_error" and str(kind).startswith("literal["):
            found[item["loc"][:-1]] = [str(item.get("ctx", {}).get("expected", "")).replace(" or ", ", ")]
    for item in errors:
        if item["loc"][:-1] in found and item["type"] != "literal_error":
            found[item["loc"][:-1]].append(_expectation(item["msg"]).removeprefix("expected "))
    return found


def _expectation(message: str) -> str:
    """A message of pydantic in our words: "expected a number greater than 0"; other messages start in lower case."""
    message = message.removeprefix("Value error, ")
    if message.startswith("Unable to parse input string as an integer"):
        return "expected a whole number that is not so large"
    if found := re.match(r"(List|Tuple|String) should have (at (?:least|most) [0-9]+ (?:item|character)s?)", message):
        return f"expected {found[2]}"
    if not message.startswith(INPUT):
        return message[0].lower() + message[1:]
    wanted = message.removeprefix(INPUT).partition(",")[0]
    for theirs, ours in (("a valid integer", "a whole number"), ("greater", "a number greater"),
                         ("less", "a number less"), ("a valid ", "a ")):
        wanted = wanted.replace(theirs, ours)
    return f"expected {wanted}"


def section_at(schema: type[BaseModel], location: list[str]) -> type[BaseModel] | None:
    current: type[BaseModel] | None = schema
    for part in location:
        if part.isdecimal():
            continue  # an index into a list
        field = current.model_fields.get(part) if current else None
        kinds = [field.annotation, *get_args(field.annotation)] if field else []
        current = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
    return current


def _fields_at(schema: type[BaseModel], location: list[str]) -> list[str]:
    section = section_at(schema, location)
    return list(section.model_fields) if section else []


def _meaning(schema: type[BaseModel], location: list[str]) -> str | None:
    section = section_at(schema, location[:-1])
    field = section.model_fields.get(location[-1]) if section else None
    return field.description if field else None


def _choices(schema: type[BaseModel], location: list[str]) -> tuple[Any, ...]:
    for depth in range(len(location), 0, -1):
        section = section_at(schema, location[: depth - 1])
        field = section.model_fields.get(location[depth - 1]) if section else None
        if field is not None:
            kinds = [field.annotation, *get_args(field.annotation)]
            literal = next((k for k in kinds if getattr(k, "__origin__", None) is Literal), None)
            return get_args(literal) if literal else ()
    return ()
