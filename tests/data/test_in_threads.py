"""Parts of images are worked on in several threads, or in one if they are small, and come back in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tenfold.data.in_threads import AT_ONCE, SMALL, in_threads, parts_of


def work(part: range) -> tuple[int, str]:
    time.sleep(2 * SMALL * AT_ONCE)
    return part[0], threading.current_thread().name


def test_slow_parts_are_shared_among_threads_and_come_in_order() -> None:
    items = range(20 * AT_ONCE + 3)
    with ThreadPoolExecutor(2) as pool:
        found = list(in_threads(work, parts_of(items, 2), pool, len(items)))
    assert [first for first, _ in found] == list(range(0, len(items), AT_ONCE))
    names = [name for _, name in found]
    assert names[0] == threading.current_thread().name
    assert len(set(names[1:])) == 2


def test_small_parts_stay_in_this_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenfold.data.in_threads.SMALL", 10.0)  # whatever else the machine does
    with ThreadPoolExecutor(2) as pool:
        found = list(in_threads(lambda part: threading.current_thread().name, parts_of(range(100), 2), pool, 100))
    assert set(found) == {threading.current_thread().name}


def test_slow_parts_after_small_ones_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    def name(part: range) -> str:
        time.sleep(0.02 if part[0] >= 2 * AT_ONCE else 0)
        return threading.current_thread().name

    monkeypatch.setattr("tenfold.data.in_threads.SMALL", 0.01 / AT_ONCE)
    with ThreadPoolExecutor(2) as pool:
        found = list(in_threads(name, parts_of(range(20 * AT_ONCE), 2), pool, 20))
    assert len(set(found[3:])) == 2


def test_a_few_images_are_shared_too() -> None:
    assert [list(part) for part in parts_of(range(10), 4)] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert [len(part) for part in parts_of(range(3 * AT_ONCE), 2)] == [AT_ONCE] * 3


def test_no_more_parts_are_taken_ahead_than_asked_for() -> None:
    taken = []

    def parts() -> Iterator[range]:
        for part in parts_of(range(10 * AT_ONCE), 2):
            taken.append(part)
            yield part

    with ThreadPoolExecutor(2) as pool:
        for done, _ in enumerate(in_threads(work, parts(), pool, 3), 1):
            assert len(taken) <= done + 3


def test_an_error_of_a_part_reaches_the_caller() -> None:
    def failing(part: range) -> None:
        time.sleep(2 * SMALL * AT_ONCE)
        if part[0] == 3 * AT_ONCE:
            raise ValueError("the fourth part")

    with ThreadPoolExecutor(2) as pool, pytest.raises(ValueError, match="the fourth part"):
        list(in_threads(failing, parts_of(range(10 * AT_ONCE), 2), pool, 80))


def test_nothing_gives_nothing() -> None:
    with ThreadPoolExecutor(2) as pool:
        assert list(in_threads(work, parts_of(range(0), 2), pool, 1)) == []
