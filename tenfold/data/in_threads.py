"""Work on many images in several threads, or in one where that is faster."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

AT_ONCE = 8  # images that a thread takes
SMALL = 3e-4  # seconds for an image: those that take less are done in one thread, which never waits for Python's lock

Part = TypeVar("Part")
Result = TypeVar("Result")


def in_threads(work: Callable[[Part], Result], parts: Iterable[Part], pool: ThreadPoolExecutor,
               ahead: int) -> Iterator[Result]:
    """`work`(part) of each part of about `AT_ONCE` images, in order; at most `ahead` parts are taken before their turn.

    The first part is done in this thread, and so are the others if it took less than `SMALL` seconds for an image.
    """
    parts = iter(parts)
    for first in itertools.islice(parts, 1):
        started = time.perf_counter()
        yield work(first)
        small = time.perf_counter() - started < SMALL * AT_ONCE
        while following := list(itertools.islice(parts, ahead)):
            yield from (map if small else pool.map)(work, following)


def parts_of(items: Sequence[Part]) -> Iterator[Sequence[Part]]:
    """`items` in parts of `AT_ONCE`."""
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))
