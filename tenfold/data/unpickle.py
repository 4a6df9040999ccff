"""Pickled arrays from the web, read without the pickle module: nothing in a file is called, no class is built.

A pickle is a program. This is an interpreter for the part of its language that plain values and numeric arrays need:
containers, numbers and strings, and the three functions that stand in the pickle of an array, which are done here.
"""

from __future__ import annotations

import math
import os
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tenfold.errors import DataError, first_line

MOST_STEPS = 1_000_000  # of the program; an official file takes 40,000
MOST_BYTES = 512 << 20  # of a file

NDARRAY, DTYPE, ENCODE = "numpy.ndarray", "numpy.dtype", "_codecs.encode"
# NumPy 2 moved its module, files name the old place.
RECONSTRUCT = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
VALUES = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT",
          "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
OLD_STRINGS = {"STRING", "BINSTRING", "SHORT_BINSTRING"}  # of Python 2: bytes
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
NOTHING = {"PROTO", "FRAME"}


@dataclass(frozen=True)
class _Global:
    """A class or function by its name, never looked up."""

    name: str


@dataclass
class _Dtype:
    """A numeric type of NumPy that is being put together."""

    kind: str  # as in "u1"
    order: str = "|"


@dataclass
class _Array:
    """An array that is being put together; `values` once its bytes have come."""

    values: np.ndarray | None = None


def unpickle_arrays(path: Path) -> Any:
    """The object in a pickle file of plain containers and numeric NumPy arrays; Python 2 strings come as bytes.

    Raises DataError, with the file name, if it is damaged, too large or asks for anything else.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MOST_BYTES:
                raise DataError(f"received {size:,} bytes; expected at most {MOST_BYTES:,}")
            return _Interpreter().run(file)
    except DataError as error:
        raise DataError(f"{path}: {error}; get the official file again") from None
    except Exception as error:  # a damaged pickle may raise anything
        raise DataError(f"{path}: no complete pickle ({first_line(error)}); "
                        "expected a batch of images; get the official file again") from None


class _Interpreter:
    """The stack, the marks on it and the memo, as `pickletools` documents them."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, file: BinaryIO) -> Any:
        """The value on the stack at the end. Raises DataError for what is not allowed, else whatever goes wrong."""
        for steps, (code, argument, _) in enumerate(pickletools.genops(file)):
            if code.name == "STOP":
                return _finished(self.stack.pop())
            if steps == MOST_STEPS:
                raise DataError(f"the pickle takes more than {MOST_STEPS:,} steps")
            self._step(code.name, argument)
        raise EOFError("it has no end")

    def _step(self, name: str, argument: Any) -> None:
        if name in VALUES:
            self.stack.append(argument)
        elif name in OLD_STRINGS:
            self.stack.append(argument.encode("latin-1"))
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in TUPLES:
            self.stack.append(tuple(self._pop(TUPLES[name])))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[argument])
        elif name in ACTIONS:
            ACTIONS[name](self)
        elif name == "GLOBAL":
            self.stack.append(_allowed(argument.replace(" ", ".")))
        elif name not in NOTHING:
            raise DataError(f"the pickle asks for {name}; expected only arrays, so it is not trusted")

    def _pop(self, count: int) -> list[Any]:
        if count > len(self.stack):
            raise IndexError("it takes more from the stack than there is")
        start = len(self.stack) - count
        taken, self.stack[start:] = self.stack[start:], []
        return taken

    def _since_mark(self) -> list[Any]:
        return self._pop(len(self.stack) - self.marks.pop())

    def mark(self) -> None:
        self.marks.append(len(self.stack))

    def stack_global(self) -> None:
        module, name = self._pop(2)
        self.stack.append(_allowed(f"{module}.{name}"))

    def append(self, values: list[Any]) -> None:
        _of(list, self.stack[-1]).extend(map(_finished, values))

    def set_items(self, values: list[Any]) -> None:
        # Other keys could hash for ever: tuples of tuples that share their parts.
        keys = [_of(str | bytes | int, key) for key in values[::2]]
        _of(dict, self.stack[-1]).update(zip(keys, map(_finished, values[1::2]), strict=True))

    def new(self, kind: type[list] | type[dict], values: list[Any]) -> None:
        self.stack.append(kind())
        (self.append if kind is list else self.set_items)(values)

    def reduce(self) -> None:
        function, arguments = self._pop(2)
        self.stack.append(_call(_of(_Global, function).name, _of(tuple, arguments)))

    def build(self) -> None:
        (state,) = self._pop(1)
        target = self.stack[-1]
        if isinstance(target, _Dtype):
            target.order = _byte_order(state)
        else:
            _of(_Array, target).values = _values(_of(tuple, state))


ACTIONS: dict[str, Callable[[_Interpreter], None]] = {
    "MARK": _Interpreter.mark,
    "STACK_GLOBAL": _Interpreter.stack_global,
    "REDUCE": _Interpreter.reduce,
    "BUILD": _Interpreter.build,
    "TUPLE": lambda self: self.stack.append(tuple(self._since_mark())),
    "EMPTY_LIST": lambda self: self.new(list, []),
    "EMPTY_DICT": lambda self: self.new(dict, []),
    "LIST": lambda self: self.new(list, self._since_mark()),
    "DICT": lambda self: self.new(dict, self._since_mark()),
    "APPEND": lambda self: self.append(self._pop(1)),
    "APPENDS": lambda self: self.append(self._since_mark()),
    "SETITEM": lambda self: self.set_items(self._pop(2)),
    "SETITEMS": lambda self: self.set_items(self._since_mark()),
}


def _allowed(name: str) -> _Global:
    if name not in (NDARRAY, DTYPE, ENCODE, *RECONSTRUCT):
        shown = first_line(ValueError(name))
        raise DataError(f"the pickle asks for {shown}; expected only arrays, so it is not trusted")
    return _Global(name)


def _call(name: str, arguments: tuple[Any, ...]) -> Any:
    """What the call of a function in the pickle of an array gives; with other arguments it is refused."""
    if name in RECONSTRUCT and arguments == (_Global(NDARRAY), (0,), b"b"):
        return _Array()
    if name == ENCODE and len(arguments) == 2 and arguments[1] in ("latin1", "latin-1"):
        return _of(str, arguments[0]).encode("latin-1")
    if name == DTYPE and arguments and isinstance(arguments[0], str | bytes):
        kind = arguments[0].decode("latin-1") if isinstance(arguments[0], bytes) else arguments[0]
        if re.fullmatch("b1|[iu][1248]|f[248]", kind):
            return _Dtype(kind)
        raise DataError(f"the pickle holds an array of the type {first_line(ValueError(kind))}; expected numbers")
    raise DataError(f"the pickle calls {name} in a way of its own; expected only arrays, so it is not trusted")


def _byte_order(state: Any) -> str:
    """The byte order in the state of a type, which must say nothing else: (version, order, None, None, None, …)."""
    order = state[1].decode("latin-1") if isinstance(state[1], bytes) else state[1]
    if order not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
        raise DataError("the pickle holds an array of a type that is no plain number; expected numbers")
    return order


def _values(state: tuple[Any, ...]) -> np.ndarray:
    """The array of a state: (version, shape, type, whether in Fortran's order, bytes)."""
    _, shape, kind, fortran, content = state
    dtype = np.dtype(_of(_Dtype, kind).order + kind.kind)
    sizes = [_of(int, size) for size in _of(tuple, shape)]
    if min(sizes, default=0) < 0 or math.prod(sizes) * dtype.itemsize != len(_of(bytes, content)):
        raise DataError(f"the pickle holds an array of {sizes} {dtype} in {len(content):,} bytes")
    return np.frombuffer(content, dtype).reshape(sizes, order="F" if fortran else "C")


def _finished(value: Any) -> Any:
    """The value as it goes into a container: an array itself, and nothing that only builds one."""
    if isinstance(value, _Array) and value.values is not None:
        return value.values
    if isinstance(value, _Array | _Dtype | _Global):
        raise DataError("the pickle holds a part of an array; expected whole arrays")
    return value


def _of(kind: Any, value: Any) -> Any:
    """The value, if it is of that kind."""
    if not isinstance(value, kind):
        raise DataError(f"the pickle has {type(value).__name__.strip('_')} where another kind of value belongs")
    return value
