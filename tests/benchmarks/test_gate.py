"""How the benchmark counts what is found of planted faults."""

from __future__ import annotations

import io

import numpy as np
from made_images import drawn
from PIL import Image

from benchmarks.gate import altered, new_pairs, pairs, quality


def test_a_group_counts_as_all_of_its_pairs() -> None:
    findings = [{"kind": "leak", "images": ["a", "b", "c"]}, {"kind": "dark", "images": ["d"]}]
    assert pairs(findings, "leak") == {frozenset("ab"), frozenset("ac"), frozenset("bc")}


def test_pairs_that_are_there_without_faults_are_left_out_also_with_a_copy() -> None:
    known = {frozenset(("train/cat/000001.jpg", "test/cat/000002.jpg"))}
    found = {frozenset(("train/dog/000001.jpg", "test/cat/000002.jpg")),  # its label was changed
             frozenset(("test/cat/000001-near.jpg", "test/cat/000002.jpg")),
             frozenset(("train/cat/000001.jpg", "test/cat/000001-near.jpg"))}
    assert new_pairs(found, known) == {frozenset(("train/cat/000001.jpg", "test/cat/000001-near.jpg"))}


def test_recall_and_precision() -> None:
    result = quality({1, 2, 3, 4}, {1, 2, 5})
    assert (result["recall"], result["precision"]) == (2 / 3, 0.5)


def test_an_altered_image_differs_but_shows_the_same() -> None:
    image = drawn(0, 32, 32)
    copy = np.asarray(Image.open(io.BytesIO(altered(image, np.random.default_rng(0)))))
    assert copy.shape == image.shape
    assert (copy != image).any()
