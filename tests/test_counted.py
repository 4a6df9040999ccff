"""Nouns and verbs fit their numbers."""

from __future__ import annotations

import pytest

from tenfold.counted import are, counted


@pytest.mark.parametrize(("number", "noun", "text"), [
    (0, "image", "0 images"), (1, "image", "1 image"), (2000, "calibration image", "2,000 calibration images"),
    (1, "class", "1 class"), (3, "class", "3 classes"), (2, "entry", "2 entries"), (2, "array", "2 arrays"),
])
def test_a_noun_fits_its_number(number: int, noun: str, text: str) -> None:
    assert counted(number, noun) == text


def test_a_verb_fits_its_number() -> None:
    assert [are(number) for number in (0, 1, 2)] == ["are", "is", "are"]
    assert [are(number, "has", "have") for number in (1, 2)] == ["has", "have"]


def test_plurals_of_words_in_ch() -> None:
    assert [counted(2, word) for word in ("epoch", "batch", "search")] == ["2 epochs", "2 batches", "2 searches"]
