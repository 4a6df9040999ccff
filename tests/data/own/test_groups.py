"""Images that stay together: bursts that are found by their pixels, and groups that a pattern names."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_images import by_name, digits, drawn, encoded, plant
from PIL import Image

from tenfold.data.dataset import Dataset
from tenfold.data.own.groups import burst_groups
from tenfold.data.splits import prepare
from tenfold.errors import UsageError
from tenfold.recipe import DataSection

Read = Callable[..., Dataset]
FRAMES = 6


def burst(image: np.ndarray, rng: np.random.Generator, count: int = FRAMES) -> list[np.ndarray]:
    """The image and more frames of it: shifted by up to two pixels each way, and encoded anew as JPEG."""
    frames, padded = [image], np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="reflect")
    height, width = image.shape[:2]
    for _ in range(count - 1):
        top, left = rng.integers(0, 5, 2)
        moved = padded[top : top + height, left : left + width]
        frames.append(np.asarray(Image.open(io.BytesIO(encoded(moved, "JPEG", quality=85)))))
    return frames


def scenes(count: int) -> list[np.ndarray]:
    return [drawn(i, 32, 32) for i in range(count)]


def planted(
    images: list[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(images, labels, positions, scene of each) of bursts of the images in two classes."""
    frames = [frame for image in images for frame in burst(image, rng)]
    scene = np.repeat(np.arange(len(images)), FRAMES)
    labels = (scene >= len(images) // 2).astype(np.int64)
    return np.stack(frames), labels, np.arange(len(frames)), scene


def found_together(groups: np.ndarray, scene: np.ndarray) -> float:
    """The fraction of pairs of frames of one scene that are in one group."""
    same = scene[:, None] == scene
    np.fill_diagonal(same, False)
    return float((groups[:, None] == groups)[same].mean())


def test_the_frames_of_a_burst_are_one_group_and_scenes_are_apart(rng: np.random.Generator) -> None:
    images, labels, rows, scene = planted(scenes(40), rng)
    groups = burst_groups(images, labels, rows)
    assert found_together(groups, scene) > 0.9
    apart = scene[:, None] != scene
    assert (groups[:, None] == groups)[apart].mean() < 0.01


@pytest.mark.real
def test_frames_of_real_photographs_are_one_group(
    photographs: tuple[np.ndarray, np.ndarray], rng: np.random.Generator
) -> None:
    images, labels, rows, scene = planted(list(photographs[0][:60]), rng)
    groups = burst_groups(images, labels, rows)
    assert found_together(groups, scene) > 0.9
    assert (groups[:, None] == groups)[scene[:, None] != scene].mean() < 0.01


@pytest.mark.real
def test_real_photographs_are_each_on_their_own(photographs: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = photographs
    groups = burst_groups(images, labels, np.argsort(labels, kind="stable"))
    assert len(np.unique(groups)) > 590


def test_equal_images_are_one_group_wherever_they_are(rng: np.random.Generator) -> None:
    images = rng.integers(0, 256, (60, 16, 16, 3), np.uint8)  # noise is not alike
    images[51] = images[2]
    groups = burst_groups(images, np.zeros(60, np.int64), np.arange(60))
    assert groups[51] == groups[2] == 2
    assert len(np.unique(groups)) == 59


def test_images_of_different_classes_are_only_one_group_if_they_are_equal(rng: np.random.Generator) -> None:
    frames = np.stack(burst(drawn(0, 32, 32), rng))
    groups = burst_groups(frames, np.arange(FRAMES), np.arange(FRAMES))
    assert len(np.unique(groups)) >= FRAMES - 1


def test_bursts_are_kept_in_one_split_and_said(tmp_path: Path, read: Read, rng: np.random.Generator) -> None:
    tree = {f"{i % 2}/scene-{i:02d}-{number}.png": frame for i, image in enumerate(scenes(40))
            for number, frame in enumerate(burst(image, rng))}
    path = plant(tmp_path / "pets", tree)
    dataset = read(path, group="bursts")
    assert any(note.startswith("bursts: ") and "data.group=none takes each image on its own" in note
               for note in dataset.notes)
    homes: dict[str, set[str]] = {}
    for name, (_, split) in by_name(prepare(dataset, DataSection())).items():
        homes.setdefault(name.split("-")[1], set()).add(split)
    assert sum(len(each) > 1 for each in homes.values()) <= 4
    torn: dict[str, set[str]] = {}
    for name, (_, split) in by_name(prepare(read(path), DataSection())).items():
        torn.setdefault(name.split("-")[1], set()).add(split)
    assert sum(len(each) > 1 for each in torn.values()) > 20  # without the rule


@pytest.mark.parametrize("keys", [{"size": 16}, {"size": 40}, {"size": 24, "resize": "crop"}])
def test_the_same_images_are_held_out_at_every_size(
    tmp_path: Path, read: Read, rng: np.random.Generator, keys: dict[str, Any]
) -> None:
    tree = {f"{i % 2}/scene-{i:02d}-{number}.png": frame for i in range(40)
            for number, frame in enumerate(burst(drawn(i, 32, 48), rng))}
    path = plant(tmp_path / "pets", tree)
    natural, other = (prepare(read(path, group="bursts", **more), DataSection()) for more in ({}, keys))
    assert by_name(natural).keys() == by_name(other).keys()
    for (name, split), same in zip(natural.splits().items(), other.splits().values(), strict=True):
        assert split.names == same.names, name
        assert np.array_equal(split.groups, same.groups)
        assert split.identity() == same.identity()
        assert split.fingerprint() != same.fingerprint()
    assert natural.test.identity() != natural.train.identity()


def test_a_pattern_names_the_groups(tmp_path: Path, read: Read) -> None:
    images, labels = digits(60, 4)
    tree = {f"{label}/patient{i // 4:02d}_{i}.png": image
            for i, (image, label) in enumerate(zip(images, labels, strict=True))}
    tree["0/other.png"] = images[0]
    dataset = read(plant(tmp_path / "scans", tree), group="(patient[0-9]+)")
    assert dataset.notes[-1] == ("groups: 15 by the pattern '(patient[0-9]+)', each kept in one split; 1 image matches "
                                 "no group (0/other.png)")
    homes: dict[str, set[str]] = {}
    for name, (_, split) in by_name(prepare(dataset, DataSection())).items():
        homes.setdefault(name.split("/")[1].split("_")[0], set()).add(split)
    assert len(homes) == 16
    assert all(len(each) == 1 for each in homes.values())


@pytest.mark.parametrize(("pattern", "message"), [
    ("(patient", r"received '\(patient', which is no regular expression"),
    ("person", r"'person' matches no image; expected a part of their paths, such as 0/a.png"),
])
def test_an_unsuitable_pattern_is_refused_in_one_line(
    tmp_path: Path, read: Read, pattern: str, message: str
) -> None:
    path = plant(tmp_path / "scans", {"0/a.png": drawn(0), "1/b.png": drawn(1)})
    with pytest.raises(UsageError, match=rf"^data.group: {message}[^\n]*$"):
        read(path, group=pattern)


def test_without_bursts_there_are_no_groups(tmp_path: Path, read: Read) -> None:
    path = plant(tmp_path / "pets", {f"{i % 2}/{i}.png": image for i, image in enumerate(scenes(20))})
    assert read(path, group="bursts").train.groups is None
    assert read(path).train.groups is None
