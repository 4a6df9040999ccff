"""From a listing to a data set: size, colour, what is left out, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_images import access, by_name, digit_tree, digits, drawn, encoded, left_out, plant
from PIL import Image

from tenfold.data import open_dataset
from tenfold.data.dataset import Dataset
from tenfold.data.images import read_image
from tenfold.data.splits import prepare
from tenfold.recipe import DataSection

Read = Callable[..., Dataset]


def pets(root: Path, *sizes: tuple[int, int]) -> Path:
    """A folder of pictures of the given heights and widths, in two classes."""
    return plant(root / "pets", {f"{'cat' if i % 2 else 'dog'}/{i}.png": drawn(i, *size)
                                 for i, size in enumerate(sizes)})


@pytest.mark.parametrize(("sizes", "keys", "side", "expected"), [
    ([(20, 30), (20, 40), (24, 50)], {}, None, 40),  # the median of the longer sides
    ([(200, 300)] * 4, {}, None, 64),  # unless the recipe wants more
    ([(200, 300)] * 4, {}, 96, 96),
    ([(20, 30)] * 4, {}, 96, 30),  # nothing is enlarged
    ([(20, 30)] * 4, {"size": 48}, 16, 48),  # unless data.size says it
    ([(3, 2)] * 4, {}, None, 8),
])
def test_the_size_is_the_median_side_within_what_the_recipe_wants(
    tmp_path: Path, sizes: list[tuple[int, int]], keys: dict[str, int], side: int | None, expected: int
) -> None:
    dataset = open_dataset(str(pets(tmp_path, *sizes)), section=access(tmp_path, **keys).section, side=side)
    assert dataset.shape == (expected, expected, 3)
    median = sorted(map(max, sizes))[len(sizes) // 2]
    most = f"the recipe asks for {side}; " if side else "at most 64 without data.size; "
    most = "" if median <= (side or 64) else most
    why = "data.size" if keys else f"{most}the median side is {median}; set data.size"
    assert dataset.notes[0].startswith(f"images: {expected}×{expected} pixels, colour, pad ({why}")


@pytest.mark.parametrize("resize", ["pad", "crop", "stretch"])
def test_images_are_padded_cropped_or_stretched_as_the_reader_does(tmp_path: Path, read: Read, resize: str) -> None:
    path = pets(tmp_path, (20, 40), (40, 20), (30, 30), (17, 61))
    dataset = read(path, size=16, resize=resize)
    assert dataset.resize == resize
    for name, image in zip(dataset.train.names, dataset.train.images[:], strict=True):
        assert np.array_equal(image, read_image(path / name, (16, 16, 3), resize=resize))


def test_grey_images_stay_grey(tmp_path: Path, read: Read) -> None:
    dataset = read(plant(tmp_path / "digits", digit_tree()))
    assert dataset.shape[2] == 1
    assert "8×8 pixels, grey" in dataset.notes[0]


def test_a_colour_image_among_grey_ones_makes_all_of_them_colour(tmp_path: Path, read: Read, cache: Path) -> None:
    images, _ = digits(700)
    tree = {f"{i % 2}/{i}.png": image for i, image in enumerate(images)}
    tree["1/3.png"] = drawn(0, 8, 8)  # not among the images whose headers are looked at
    path = plant(tmp_path / "digits", tree)
    dataset = read(path)
    assert dataset.shape == (8, 8, 3)
    pixels = dict(zip(dataset.train.names, dataset.train.images[:], strict=True))
    assert np.array_equal(pixels["1/3.png"], tree["1/3.png"])
    assert np.array_equal(pixels["0/0.png"], np.repeat(images[0][..., None], 3, axis=2))
    files = sorted(file for file in cache.iterdir() if not file.name.endswith((".lock", ".owner")))
    assert [file.suffix for file in files] == [".coloured", ".json", ".npy"]
    assert len({file.stem for file in files}) == 1  # the attempt in grey leaves nothing behind
    assert read(path).fingerprint() == dataset.fingerprint()


def test_the_shape_of_a_run_overrides_size_and_colour(tmp_path: Path) -> None:
    path = pets(tmp_path, *[(20, 30)] * 4)
    grey = open_dataset(str(path), section=access(tmp_path, size=32).section, shape=(12, 14, 1))
    assert grey.shape == (12, 14, 1)
    first = zip(grey.train.names, grey.train.images[:], strict=True)
    assert all(np.array_equal(image, read_image(path / name, (12, 14, 1), resize="pad")) for name, image in first)
    images, labels = np.stack([drawn(i, 12, 14) for i in range(4)]), [0, 1, 0, 1]
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    arrays = open_dataset(str(tmp_path / "a.npz"), section=access(tmp_path).section, shape=(12, 14, 1))
    assert np.array_equal(arrays.train.images[0][..., 0], np.asarray(Image.fromarray(images[0]).convert("L")))
    assert open_dataset(str(tmp_path / "a.npz"), section=access(tmp_path).section, shape=(8, 8, 3)).shape == (8, 8, 3)


def test_damaged_images_are_left_out_and_named_and_the_others_are_read(tmp_path: Path, read: Read) -> None:
    tree = {f"{i % 2}/{i}.jpg": encoded(drawn(i), "JPEG") for i in range(40)}
    bad = {"0/4.jpg": b"", "1/9.jpg": tree["1/9.jpg"][:400], "0/20.jpg": b"<html>not found</html>"}
    dataset = read(plant(tmp_path / "pets", tree | bad))
    assert len(dataset.train) == 37
    assert left_out(dataset).keys() == bad.keys()
    assert all("can't be read as an image" in reason and "\n" not in reason for reason in left_out(dataset).values())
    assert "left out, because it can't be read as an image: 3 (0/4.jpg, 0/20.jpg, 1/9.jpg)" in dataset.notes
    assert "3 files left out" in dataset.train.provenance.source
    assert left_out(read(tmp_path / "pets")) == left_out(dataset)  # from the cache too


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_images_stand_upright_as_exif_says(tmp_path: Path, read: Read, kind: str) -> None:
    picture, ending = Image.fromarray(drawn(3, 16, 24)), kind.lower()
    exif = Image.Exif()
    exif[0x112] = 6  # turned by 90 degrees
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    plant(tmp_path / "pets", {"cat/a.png": drawn(1, 24, 24), "dog/b.png": np.rot90(np.asarray(picture), -1)})
    picture.save(tmp_path / "pets" / "dog" / f"turned.{ending}", kind, exif=exif.tobytes(), **options)
    dataset = read(tmp_path / "pets", size=24)
    upright, turned = dataset.train.images[1:3].astype(int)
    assert np.abs(upright - turned).mean() < 2


def test_a_split_is_made_where_there_is_none_and_the_same_each_time(tmp_path: Path, read: Read) -> None:
    path = plant(tmp_path / "digits", digit_tree(100, 4))
    first, again, other = (prepare(read(path), DataSection(seed=seed)) for seed in (0, 0, 1))
    assert by_name(first) == by_name(again) != by_name(other)
    assert {name: len(split) for name, split in first.splits().items()} == {"train": 72, "validation": 8, "test": 20}
    counts = np.bincount(first.test.labels)
    assert counts.max() - counts.min() <= 1


def test_classes_that_differ_only_in_case_are_named(tmp_path: Path, read: Read) -> None:
    plant(tmp_path / "pets", {"Big Dog/a.png": encoded(drawn(0)), "big  dog/b.png": encoded(drawn(1)),
                              "cat/c.png": encoded(drawn(2))})
    found = [note for note in read(tmp_path / "pets").notes if "differ only" in note]
    assert found == ["classes whose names differ only in case or spaces: Big Dog and big  dog; if they are one, give "
                     "them one name"]


def test_runs_of_earlier_versions_find_bursts_on_the_images_as_they_are_read(tmp_path: Path) -> None:
    path = plant(tmp_path / "digits", digit_tree(40, 2))
    now, then = (open_dataset(str(path), section=DataSection(size=20), bursts_as_read=earlier)
                 for earlier in (False, True))
    assert now.train.standard is not None
    assert then.train.standard is None
    assert now.fingerprint() == then.fingerprint() == then.identity() != now.identity()
