"""Reads pickled arrays from untrusted files without the pickle module: runs no code of the file and builds no classes.

A pickle is a program. This interpreter runs only the instructions that plain values and numeric arrays need:
containers, numbers and strings. It replaces the three functions that the pickle of an array calls.
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

MAX_STEPS = 1_000_000  # instructions; an official file has 40,000
MAX_BYTES = 512 << 20  # of a file

NDARRAY, DTYPE, ENCODE = "numpy.ndarray", "numpy.dtype", "_codecs.encode"
# NumPy 2 moved this function; the official files use its old name.
RECONSTRUCT = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
VALUES = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT",
          "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
PYTHON2_STRINGS = {"STRING", "BINSTRING", "SHORT_BINSTRING"}  # read as bytes
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
IGNORED = {"PROTO", "FRAME"}


@dataclass(frozen=True)
class _Global:
    """The name of a class or function. It is never imported."""

    name: str


@dataclass
class _Dtype:
    """An unfinished NumPy dtype."""

    kind: str  # for example "u1"
    order: str = "|"


@dataclass
class _Array:
    """An unfinished array; `values` is None until its bytes are read."""

    values: np.ndarray | None = None


def unpickle_arrays(path: Path, most: int = MAX_BYTES) -> Any:
    """The object in a pickle file of plain containers and numeric NumPy arrays. Python 2 strings become bytes.

    Raises DataError, with the file name, if the file is damaged, has more than `most` bytes or contains anything else.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > most:
                raise DataError(f"received {size:,} bytes; expected at most {most:,}")
            return _Interpreter().run(file)
    except DataError as error:
        raise DataError(f"{path}: {error}; download the official file again") from None
    except Exception as error:  # a damaged pickle may raise anything
        raise DataError(f"{path}: the pickle is damaged ({first_line(error)}); "
                        "expected a batch of images; download the official file again") from None


class _Interpreter:
    """Runs a pickle. `pickletools` documents the stack, its marks and the memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, file: BinaryIO) -> Any:
        """The result of the pickle. Raises DataError if it is not allowed, any other exception if it is damaged."""
        for steps, (code, argument, _) in enumerate(pickletools.genops(file)):
            if code.name == "STOP":
                return _finished(self.stack.pop())
            if steps == MAX_STEPS:
                raise DataError(f"the pickle has more than {MAX_STEPS:,} instructions")
            self._step(code.name, argument)
        raise EOFError("no STOP at the end")

    def _step(self, name: str, argument: Any) -> None:
        if name in VALUES:
            self.stack.append(argument)
        elif name in PYTHON2_STRINGS:
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
        elif name not in IGNORED:
            raise DataError(f"refused: the pickle contains {name}; expected only arrays and plain values")

    def _pop(self, count: int) -> list[Any]:
        if count > len(self.stack):
            raise IndexError("the stack is empty")
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
        _checked(list, self.stack[-1]).extend(map(_finished, values))

    def set_items(self, values: list[Any]) -> None:
        # Hashing other keys could take forever: for example nested tuples that share their parts.
        keys = [_checked(str | bytes | int, key) for key in values[::2]]
        _checked(dict, self.stack[-1]).update(zip(keys, map(_finished, values[1::2]), strict=True))

    def new(self, kind: type[list] | type[dict], values: list[Any]) -> None:
        self.stack.append(kind())
        (self.append if kind is list else self.set_items)(values)

    def reduce(self) -> None:
        function, arguments = self._pop(2)
        self.stack.append(_call(_checked(_Global, function).name, _checked(tuple, arguments)))

    def build(self) -> None:
        (state,) = self._pop(1)
        target = self.stack[-1]
        if isinstance(target, _Dtype):
            target.order = _byte_order(state)
        else:
            _checked(_Array, target).values = _array(_checked(tuple, state))


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
        raise DataError(f"refused: the pickle uses {shown}; expected only arrays and plain values")
    return _Global(name)


def _call(name: str, arguments: tuple[Any, ...]) -> Any:
    """The result of a function that the pickle of an array calls. Raises DataError for other functions or arguments."""
    if name in RECONSTRUCT and arguments == (_Global(NDARRAY), (0,), b"b"):
        return _Array()
    if name == ENCODE and len(arguments) == 2 and arguments[1] in ("latin1", "latin-1"):
        return _checked(str, arguments[0]).encode("latin-1")
    if name == DTYPE and arguments and isinstance(arguments[0], str | bytes):
        kind = arguments[0].decode("latin-1") if isinstance(arguments[0], bytes) else arguments[0]
        if re.fullmatch("b1|[iu][1248]|f[248]", kind):
            return _Dtype(kind)
        raise DataError(f"the pickle has an array of type {first_line(ValueError(kind))}; expected numbers")
    raise DataError(f"refused: the pickle calls {name} with unusual arguments; expected only arrays and plain values")


def _byte_order(state: Any) -> str:
    """The byte order from the state of a dtype, (version, order, None, None, None, …). Raises DataError for others."""
    order = state[1].decode("latin-1") if isinstance(state[1], bytes) else state[1]
    if order not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
        raise DataError("the pickle has an array with an unusual dtype; expected numbers")
    return order


def _array(state: tuple[Any, ...]) -> np.ndarray:
    """The array from its state: (version, shape, dtype, whether in Fortran order, bytes)."""
    _, shape, kind, fortran, content = state
    dtype = np.dtype(_checked(_Dtype, kind).order + kind.kind)
    sizes = [_checked(int, size) for size in _checked(tuple, shape)]
    if min(sizes, default=0) < 0 or math.prod(sizes) * dtype.itemsize != len(_checked(bytes, content)):
        raise DataError(f"the pickle has an array of {sizes} {dtype} in {len(content):,} bytes")
    return np.frombuffer(content, dtype).reshape(sizes, order="F" if fortran else "C")


def _finished(value: Any) -> Any:
    """The value to put into a container. Raises DataError for an unfinished array, a dtype or a function."""
    if isinstance(value, _Array) and value.values is not None:
        return value.values
    if isinstance(value, _Array | _Dtype | _Global):
        raise DataError("the pickle has an incomplete array; expected complete arrays")
    return value


def _checked(kind: Any, value: Any) -> Any:
    """The value. Raises DataError if its type is not `kind`."""
    if not isinstance(value, kind):
        raise DataError(f"the pickle has {type(value).__name__.strip('_')} in a place for another type")
    return value
