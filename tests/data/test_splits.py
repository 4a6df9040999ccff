"""Splits: exact counts, every class in each, nothing twice, repeatable, and said in words."""

import json

import numpy as np
import pytest
from sklearn.model_selection import StratifiedShuffleSplit

from tenfold.data import Dataset, Provenance, Split, open_dataset
from tenfold.data.splits import allocate, prepare, stratified, summary, whole_groups
from tenfold.errors import UsageError
from tenfold.recipe import DataSection

COUNTS = {"cat": 100, "dog": 50, "fox": 10}


def numbered(counts, source="photos", expected=None) -> Split:
    """Images of 8×8 whose first two pixels hold their number, labels mixed."""
    labels = np.random.default_rng(7).permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int64)
    images = np.zeros((len(labels), 8, 8, 1), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 1, 0] = np.divmod(np.arange(len(labels)), 256)
    return Split(images, labels, Provenance(source, expected))


def numbers(split: Split) -> list[int]:
    images = np.asarray(split.images).astype(int)
    return (images[:, 0, 0, 0] * 256 + images[:, 0, 1, 0]).tolist()


def make(test: bool = False, expected: int | None = None) -> Dataset:
    counts = list(COUNTS.values())
    held = numbered([9, 9, 9], "test photos", expected) if test else None
    return Dataset("pets", "pets", tuple(COUNTS), train=numbered(counts, expected=expected), test=held)


def section(**values) -> DataSection:
    return DataSection.model_validate({"validation": 0, "test": 0, **values})


def counts_of(split: Split) -> list[int]:
    return np.bincount(split.labels, minlength=len(COUNTS)).tolist()


def test_default_settings_leave_the_data_set_unchanged():
    dataset = make(test=True)
    assert prepare(dataset, section()) is dataset


@pytest.mark.parametrize(
    ("validation", "test", "sizes"),
    [(0.1, 0.2, (115, 13, 32)), (16, 32, (112, 16, 32)), (0, 0.25, (120, None, 40)), (0.5, 0, (80, 80, None)),
     (3, 3, (154, 3, 3))],
)
def test_held_out_splits_are_exact_disjoint_ordered_and_complete(validation, test, sizes):
    dataset = make()
    prepared = prepare(dataset, section(validation=validation, test=test))
    parts = [prepared.train, prepared.validation, prepared.test]
    assert tuple(None if part is None else len(part) for part in parts) == sizes
    present = [part for part in parts if part is not None]
    assert sorted(number for part in present for number in numbers(part)) == list(range(160))
    for part in present:
        assert numbers(part) == sorted(numbers(part))
        assert min(counts_of(part)) >= 1
        assert np.array_equal(part.labels, dataset.train.labels[numbers(part)])


def test_the_seed_determines_the_splits():
    def chosen(**values):
        prepared = prepare(make(), section(validation=16, test=16, train_size=64, **values))
        return [numbers(split) for split in prepared.splits().values()]

    assert chosen(seed=1) == chosen(seed=1)
    assert all(a != b for a, b in zip(chosen(seed=1), chosen(seed=2), strict=True))


def test_a_source_with_a_test_split_keeps_it():
    prepared = prepare(make(test=True), section(validation=0.1, test=0.2))
    assert counts_of(prepared.test) == [9, 9, 9]
    assert prepared.test.describe() == "test photos"


def test_splits_describe_how_they_were_made():
    prepared = prepare(make(), section(validation=16, test=32, seed=3, train_size=100))
    assert prepared.test.describe() == "held out of train, stratified, seed 3"
    assert prepared.validation.describe() == "held out of train, stratified, seed 3"
    assert prepared.train.describe() == (
        "photos, without 32 held out for test, without 16 held out for validation, "
        "a subset of 100 (stratified, seed 3)")
    assert not any(split.partial for split in prepared.splits().values())
    held = {name: split.provenance.held_out for name, split in prepared.splits().items()}
    assert held == {"train": False, "validation": True, "test": True}


def test_splits_of_a_partial_source_are_marked_partial():
    asked = section(validation=16, classes=["fox", "cat"], train_size=50)
    prepared = prepare(make(test=True, expected=1000), asked)
    for split in prepared.splits().values():
        assert split.partial
        assert "PARTIAL" in split.describe()
    assert "PARTIAL, 27 of 1,000 images, 2 of 3 classes" in prepared.test.describe()
    assert prepared.train.describe().count("PARTIAL") == 1


def test_stratified_counts_match_scikit_learn(rng):
    labels = rng.choice(7, 3000, p=np.arange(1, 8) / 28)
    ours = stratified(labels, 600, rng)
    theirs = next(StratifiedShuffleSplit(1, test_size=600, random_state=0).split(labels, labels))[1]
    assert abs(np.bincount(labels[ours]) - np.bincount(labels[theirs])).max() <= 1
    due = np.bincount(labels) * 600 / 3000
    assert abs(np.bincount(labels[ours]) - due).max() < 1
    assert len(np.unique(ours)) == 600


def test_allocation_is_exact_and_gives_every_class_an_image(rng):
    for _ in range(300):
        counts = rng.integers(0, 40, rng.integers(2, 12)) ** rng.integers(1, 3)
        highest = np.maximum(counts - 1, 0)
        size = int(rng.integers(0, highest.sum() + 1))
        share = allocate(counts, size, highest)
        assert share.sum() == size
        assert (share >= 0).all()
        assert (share <= highest).all()
        if size >= (counts > 0).sum():
            assert (share[highest > 0] >= 1).all()


def test_each_image_is_equally_likely_to_be_held_out():
    labels = np.repeat([0, 1], 10)
    times = np.zeros(20)
    for seed in range(2000):
        times[stratified(labels, 10, np.random.default_rng(seed))] += 1
    assert abs(times / 2000 - 0.5).max() < 0.05  # 4.5 standard errors


def test_training_subsets_of_one_seed_are_nested():
    small, large = (prepare(make(), section(train_size=size)).train for size in (16, 80))
    assert counts_of(small) == [10, 5, 1]
    assert counts_of(large) == [50, 25, 5]
    assert set(numbers(small)) < set(numbers(large))


# ----------------------------------------------------------------------------------------------------
# classes


def test_classes_are_kept_and_renumbered_in_the_order_given():
    dataset = make(test=True)
    prepared = prepare(dataset, section(classes=["fox", "cat"]))
    assert prepared.classes == ("fox", "cat")
    assert np.bincount(prepared.train.labels).tolist() == [10, 100]
    assert np.bincount(prepared.test.labels).tolist() == [9, 9]
    old = dataset.train.labels[numbers(prepared.train)]
    assert np.array_equal(prepared.train.labels, np.where(old == 2, 0, 1))


def test_fractions_apply_to_the_selected_classes():
    prepared = prepare(make(), section(classes=["dog", "fox"], test=0.5))
    assert np.bincount(prepared.test.labels).tolist() == [25, 5]


# ----------------------------------------------------------------------------------------------------
# what can't be met


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"classes": ["cat"]}, "received only 'cat'; expected at least 2 classes"),
        ({"classes": ["cat", "dog", "cat"]}, "received 'cat' twice"),
        ({"validation": 158}, "data.validation: received 158, .*expected at most 157"),
        ({"validation": 1000}, "expected at most 157"),
        ({"test": 100, "validation": 100}, "data.validation: received 100, .* of 60 training images"),
        ({"validation": 0.001}, "which is none; expected at least one image"),
        ({"train_size": 161}, "data.train_size: received 161; expected 3 .* to 160"),
        ({"train_size": 2}, "data.train_size: received 2; expected 3"),
        ({"validation": 60, "train_size": 101}, "expected 3 .* to 100"),
    ],
)
def test_impossible_requests_are_refused_in_one_line(values, reason):
    with pytest.raises(UsageError, match=reason) as caught:
        prepare(make(), section(**values))
    assert "\n" not in str(caught.value)


def test_an_unknown_class_names_the_known_ones():
    with pytest.raises(UsageError, match=r"unknown class 'ca'; did you mean 'cat'\? .*cat, dog, fox"):
        prepare(make(), section(classes=["ca", "dog"]))


def test_half_of_validation_is_held_out_of_every_choice_and_no_image_is_lost():
    whole = prepare(make(), section(validation=120, calibration=0))
    prepared = prepare(make(), section(validation=120))
    validation, calibration = prepared.validation, prepared.calibration
    assert (len(validation), len(calibration)) == (60, 60)
    assert sorted(numbers(validation) + numbers(calibration)) == numbers(whole.validation)
    assert counts_of(calibration) == [38, 19, 3]
    assert numbers(prepared.train) == numbers(whole.train)
    assert calibration.provenance.held_out
    assert calibration.describe().startswith("held out of validation, stratified, seed 0")
    assert list(prepared.splits()) == ["train", "validation", "calibration"]
    assert prepared.fingerprint() != whole.fingerprint()


def test_too_little_validation_is_not_divided_unless_a_number_says_so():
    assert prepare(make(), section(validation=99)).calibration is None
    assert len(prepare(make(), section(validation=99, calibration=19)).calibration) == 19
    assert prepare(make(test=True), section()).calibration is None
    with pytest.raises(UsageError, match=r"^data.calibration: received 98; expected at most 96 of the 99 "):
        prepare(make(), section(validation=99, calibration=98))


def test_the_calibration_split_keeps_groups_whole_and_leaves_each_class(rng):
    labels = np.repeat([0, 1], 100).astype(np.int64)
    groups = np.arange(200, dtype=np.int64) // 10
    split = Split(np.zeros((200, 8, 8, 1), np.uint8), labels, Provenance("photos"), groups)
    prepared = prepare(Dataset("pets", "pets", ("cat", "dog"), split, validation=split), section())
    assert not set(prepared.validation.groups.tolist()) & set(prepared.calibration.groups.tolist())
    assert np.bincount(prepared.calibration.labels).tolist() == [50, 50]
    one = Split(split.images, labels, split.provenance, labels)  # a class in one group can't be divided
    assert prepare(Dataset("pets", "pets", ("cat", "dog"), split, validation=one), section()).calibration is None


def test_the_last_image_of_each_class_stays_in_train():
    prepared = prepare(make(), section(validation=157))
    assert counts_of(prepared.train) == [1, 1, 1]


# ----------------------------------------------------------------------------------------------------


def test_summary_counts_and_measures(rng):
    images = rng.integers(0, 256, (1234, 8, 8, 3), np.uint8)
    labels = np.arange(1234, dtype=np.int64) % 2
    train = Split(images, labels, Provenance("made up", 2000))
    dataset = Dataset("noise", "noise", ("even", "odd"), train=train)
    found = json.loads(json.dumps(summary(dataset)))
    assert found["shape"] == [8, 8, 3]
    assert found["classes"] == ["even", "odd"]
    train = found["splits"]["train"]
    assert train["counts"] == {"even": 617, "odd": 617}
    assert train["partial"]
    assert train["source"] == "made up: PARTIAL, 1,234 of 2,000 images"
    assert np.allclose(train["mean"], images.mean(axis=(0, 1, 2)))
    assert np.allclose(train["sd"], images.std(axis=(0, 1, 2)))


@pytest.mark.real
def test_cifar10_with_5000_held_out(real_data):
    dataset = open_dataset("cifar10", root=real_data)
    prepared = prepare(dataset, section(validation=5000, test=0.2, train_size=1000))
    assert np.bincount(prepared.validation.labels).tolist() == [250] * 10
    assert np.bincount(prepared.calibration.labels).tolist() == [250] * 10
    assert np.bincount(prepared.train.labels).tolist() == [100] * 10
    assert len(prepared.test) == len(dataset.test)
    assert prepared.test.partial == dataset.test.partial


def test_groups_are_never_divided_between_splits():
    labels = np.arange(40) % 2
    grouped = Split(np.zeros((40, 8, 8, 1), np.uint8), labels, Provenance("made"), groups=np.arange(40) // 4)
    dataset = Dataset("made", "made", ("a", "b"), train=grouped)
    parts = prepare(dataset, DataSection(test=8, validation=8)).splits()
    groups = {name: set(split.groups) for name, split in parts.items()}
    assert sorted(group for part in groups.values() for group in part) == list(range(10))  # each in one split only
    assert {name: len(split) for name, split in parts.items()} == {"train": 24, "validation": 8, "test": 8}
    for split in parts.values():
        assert np.bincount(split.labels).tolist() == [len(split) // 2] * 2
    assert prepare(dataset, DataSection(test=0, validation=0)).train.groups is not None


def test_groups_that_are_too_large_can_not_be_held_out():
    labels = np.arange(40) % 2
    grouped = Split(np.zeros((40, 8, 8, 1), np.uint8), labels, Provenance("made"), groups=np.zeros(40, np.int64))
    with pytest.raises(UsageError, match=r"^data.test: can't hold out 8 of 40[^\n]*groups are too large[^\n]*$"):
        prepare(Dataset("made", "made", ("a", "b"), train=grouped), DataSection())


@pytest.mark.parametrize("largest", [1, 5, 12])
@pytest.mark.parametrize("size", [40, 120])
def test_whole_groups_stay_near_the_share_of_each_class(largest: int, size: int) -> None:
    draw = np.random.default_rng(largest)
    lengths = draw.integers(1, largest + 1, 400)
    groups = np.repeat(np.arange(400), lengths)[:600]
    labels = np.repeat(draw.choice(3, 400, p=(0.6, 0.3, 0.1)), lengths)[:600]
    chosen = whole_groups(labels, groups, size, np.random.default_rng(0))
    assert set(groups[chosen]).isdisjoint(np.delete(groups, chosen))
    share = np.bincount(labels) * size / len(labels)
    assert np.abs(np.bincount(labels[chosen], minlength=3) - share).max() <= max(1, largest / 2)
    assert np.array_equal(chosen, whole_groups(labels, groups, size, np.random.default_rng(0)))


def test_groups_of_several_classes_are_taken_whole_and_leave_some_of_each() -> None:
    draw = np.random.default_rng(0)
    labels, groups = draw.integers(0, 4, 400), draw.integers(0, 80, 400)
    chosen = whole_groups(labels, groups, 80, draw)
    assert set(groups[chosen]).isdisjoint(np.delete(groups, chosen))
    assert abs(len(chosen) - 80) <= 10
    assert np.bincount(np.delete(labels, chosen)).min() > 0
