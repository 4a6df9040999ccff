"""Folds: each image in exactly one, classes in proportion, groups whole, repeatable; too few images are refused."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.data import Dataset, Provenance, Split
from tenfold.data.folds import fold_numbers
from tenfold.data.splits import prepare
from tenfold.errors import RecipeError, UsageError
from tenfold.recipe import DataSection, Recipe

COUNTS = (100, 50, 11)


def pets(counts=COUNTS, groups=None, test=0) -> Dataset:
    """Images of 8×8 whose first two pixels hold their number."""
    def split(counts, groups=None) -> Split:
        labels = np.random.default_rng(7).permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int64)
        images = np.zeros((len(labels), 8, 8, 1), np.uint8)
        images[:, 0, 0, 0], images[:, 0, 1, 0] = np.divmod(np.arange(len(labels)), 256)
        return Split(images, labels, Provenance("photos"), groups)

    held = split([test] * len(counts)) if test else None
    return Dataset("pets", "pets", ("cat", "dog", "fox")[: len(counts)], train=split(counts, groups), test=held)


def section(fold: int = 1, folds: int = 5, **values) -> DataSection:
    return DataSection.model_validate({"validation": 0.1, "test": 0, "folds": folds, "fold": fold, **values})


def numbers(split: Split) -> set[int]:
    images = np.asarray(split.images).astype(int)
    return set((images[:, 0, 0, 0] * 256 + images[:, 0, 1, 0]).tolist())


def test_each_image_is_left_out_once_and_validation_comes_from_the_other_folds() -> None:
    seen: list[int] = []
    for fold in range(1, 6):
        prepared = prepare(pets(), section(fold))
        parts = [numbers(split) for split in prepared.splits().values()]
        assert set.union(*parts) == set(range(161))
        assert sum(map(len, parts)) == 161
        assert prepared.test is not None
        counts = np.bincount(prepared.test.labels)
        assert (abs(counts - np.array(COUNTS) / 5) < 1).all()
        assert f"fold {fold} of 5 of train, stratified, seed 0" in prepared.test.describe()
        assert prepared.test.provenance.fold_of == pets().train.fingerprint()
        seen += numbers(prepared.test)
    assert sorted(seen) == list(range(161))


def test_folds_depend_on_the_seed_only() -> None:
    labels = pets().train.labels
    first = fold_numbers(labels, None, 5, 0)
    assert (first == fold_numbers(labels, None, 5, 0)).all()
    assert (first != fold_numbers(labels, None, 5, 1)).any()


def test_groups_stay_whole() -> None:
    groups = np.arange(161) // 4
    for fold in (1, 4):
        prepared = prepare(pets(groups=groups), section(fold))
        owners = [set(split.groups.tolist()) for split in prepared.splits().values() if split.groups is not None]
        assert len(owners) == len(prepared.splits())
        assert sum(map(len, owners)) == len(set.union(*owners))
        assert "groups whole" in prepared.splits()["test"].describe()


def test_the_test_split_is_set_aside_first() -> None:
    own = prepare(pets(test=9), section())
    assert own.test is not None
    assert len(own.test) == 33  # of the 161 images, none of the 27 of the source's test split
    held = [prepare(pets(), section(fold, test=0.2)) for fold in range(1, 6)]
    assert len(set.union(*(numbers(split) for each in held for split in each.splits().values()))) == 161 - 32


def test_a_rare_class_may_be_missing_from_a_fold() -> None:
    prepared = prepare(pets((20, 20, 2)), section(validation=0))
    assert np.bincount(prepared.train.labels).min() > 0


@pytest.mark.parametrize(("counts", "groups", "words"), [
    ((20, 20, 1), None, "the class fox would be in one fold only"),
    ((2, 2, 2), None, "6 training images do not fill them"),
    ((20, 20, 20), np.arange(60) // 20, "60 training images do not fill them"),
])
def test_too_few_images_are_refused(counts, groups, words) -> None:
    with pytest.raises(UsageError, match=f"data.folds: received 7; {words}"):
        prepare(pets(counts, groups), section(folds=7))


def test_a_fold_that_does_not_exist_is_refused() -> None:
    for values, words in (({"data.folds": 3, "data.fold": 4}, "data.folds is 3; expected 1 to 3"),
                          ({"data.fold": 2}, "data.folds is none; expected 1 to 1"), ({"data.folds": 2}, "data.folds")):
        with pytest.raises(RecipeError, match=words):
            Recipe.from_dict({}, overrides=values)
