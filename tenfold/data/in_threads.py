"""Work on many images in several threads, or in one where that is faster."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

AT_ONCE = 8  # images that a thread takes
SMALL = 3e-4  # seconds for an image: those that take less are done in one thread, which never waits for Python's lock

Part = TypeVar("Part")
Result = TypeVar("Result")


def in_threads(work: Callable[[Part], Result], parts: Iterable[Part], pool: ThreadPoolExecutor,
               ahead: int) -> Iterator[Result]:
    """`work`(part) of each part of at most `AT_ONCE` images, in order; at most `ahead` are taken before their turn.

    Parts are done in this thread until one takes longer than `SMALL` seconds for each of `AT_ONCE` images, and then in
    those of the pool.
    """
    waiting, small = iter(parts), True
    while small and (following := list(itertools.islice(waiting, 1))):
        started = time.perf_counter()
        result = work(following[0])
        small = time.perf_counter() - started < SMALL * AT_ONCE
        yield result
    taken = deque(pool.submit(work, part) for part in itertools.islice(waiting, ahead))
    while taken:
        result = taken.popleft().result()
        taken.extend(pool.submit(work, part) for part in itertools.islice(waiting, 1))
        yield result


def parts_of(items: Sequence[Part], threads: int) -> Iterator[Sequence[Part]]:
    """`items` in parts of `AT_ONCE`, or of fewer, so that each thread has one."""
    size = max(1, min(AT_ONCE, -(-len(items) // threads)))
    return (items[start : start + size] for start in range(0, len(items), size))
