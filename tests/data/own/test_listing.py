"""The order of names, and the classes of labels."""

from __future__ import annotations

import random

import pytest

from tenfold.data.own.listing import class_names, natural, some
from tenfold.errors import DataError


def test_numbers_in_names_are_compared_by_value() -> None:
    names = ["frame-1", "frame-2", "frame-10", "frame-10b", "frame-010c", "frame-100", "frames", "x"]
    shuffled = random.Random(0).sample(names, len(names))
    assert sorted(shuffled, key=natural) == names
    assert natural("7") != natural("007")
    assert sorted(["9" * 5000, "1" * 5001, "x", ""], key=natural) == ["", "9" * 5000, "1" * 5001, "x"]


def test_classes_are_distinct_labels_in_natural_order() -> None:
    assert class_names(["10", "9", "10", "b", "a"], "here") == ("9", "10", "a", "b")


@pytest.mark.parametrize(("labels", "message"), [
    (["cat"], "here: received one class, 'cat'; expected 2 to 10,000 classes"),
    ([], "here: received 0 classes"),
    (map(str, range(10_001)), "here: received 10,001 classes"),
    (["a\nb", "c"], r"here: received the class 'a\?b'"),
])
def test_other_numbers_of_classes_and_odd_names_are_refused(labels: list[str], message: str) -> None:
    with pytest.raises(DataError, match=rf"^{message}[^\n]*$"):
        class_names(labels, "here")


def test_of_many_names_the_first_are_shown() -> None:
    assert some(["a", "b", "c"]) == "a, b, c"
    assert some(["a\n", *"bcdef"]) == "a?, b, c and 3 more"
