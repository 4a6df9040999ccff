"""Each kind of finding is found where it was planted, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from made_images import Content, drawn, encoded, plant
from PIL import Image, ImageFilter

from tenfold.data import open_dataset
from tenfold.data.exclusion import identified
from tenfold.inspection import Finding, Inspection, Needs, inspect, known_kinds
from tenfold.recipe import DataSection

FILES: tuple[Needs, ...] = ("files", "pixels", "pairs")
HEIGHT, WIDTH = 40, 48


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TENFOLD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def picture(number: int) -> np.ndarray:
    return drawn(number, HEIGHT, WIDTH)


def ordinary(count: int = 60) -> dict[str, Content]:
    """Pictures of two classes in two splits, without a fault."""
    return {f"{'train' if i % 4 else 'test'}/{'ab'[i % 2 if i % 4 else i // 4 % 2]}/{i:02d}.png": picture(i)
            for i in range(count)}


def inspected(root: Path, files: Mapping[str, Content], needs: tuple[Needs, ...] = FILES) -> Inspection:
    headers: dict = {}
    plant(root / "images", files)
    dataset = open_dataset(str(root / "images"), section=DataSection(group=None), side=160, visit=headers.update)
    return inspect(identified(dataset), headers, needs=needs)


def found(root: Path, files: Mapping[str, Content], kind: str) -> list[Finding]:
    return inspected(root, files).of(kind)


def test_ordinary_images_have_no_fault(tmp_path: Path) -> None:
    result = inspected(tmp_path, ordinary(100))
    assert result.counts() == {}
    assert result.images == {"train": 75, "test": 25}
    assert result.skipped == {}


PLANTED: dict[str, tuple[dict[str, Content], set[str]]] = {
    "unreadable": ({"train/a/cut.jpg": encoded(picture(90), "JPEG")[:500]}, {"train/a/cut.jpg"}),
    "mode": ({"train/a/grey.png": picture(90)[..., 0]}, {"train/a/grey.png"}),
    "size": ({"train/a/small.png": drawn(90, 10, 12)}, {"train/a/small.png"}),
    "duplicate": ({"train/a/again.png": picture(1)}, {"train/b/01.png", "train/a/again.png"}),
    "leak": ({"test/b/again.png": picture(1)}, {"train/b/01.png", "test/b/again.png"}),
    "conflict": ({"train/a/again.png": picture(1)}, {"train/b/01.png", "train/a/again.png"}),
    "near_duplicate": ({"train/b/moved.png": np.roll(picture(1), 2, axis=1)}, {"train/b/01.png", "train/b/moved.png"}),
    "near_leak": ({"test/b/moved.png": (picture(1) * 0.8).astype(np.uint8)}, {"train/b/01.png", "test/b/moved.png"}),
    "blank": ({"train/a/even.png": np.full((HEIGHT, WIDTH, 3), 120, np.uint8)}, {"train/a/even.png"}),
    "dark": ({"train/a/night.png": picture(90) // 6}, {"train/a/night.png"}),
    "blurred": ({"train/a/soft.png": np.asarray(
        Image.fromarray(picture(90)).filter(ImageFilter.GaussianBlur(4)))}, {"train/a/soft.png"}),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_fault_is_found(tmp_path: Path, kind: str) -> None:
    files, expected = PLANTED[kind]
    findings = found(tmp_path, {**ordinary(), **files}, kind)
    assert [set(each.images) for each in findings] == [expected]
    assert all(0 < each.score <= 1 for each in findings)
    assert set(findings[0].drop) <= expected


def test_what_may_go_leaves_one_image_in_the_split_that_judges(tmp_path: Path) -> None:
    files = {**ordinary(), "test/b/again.png": picture(1), "train/b/moved.png": np.roll(picture(3), 2, axis=1)}
    result = inspected(tmp_path, files)
    assert [each.drop for each in result.of("leak")] == [("train/b/01.png",)]
    assert [each.drop for each in result.of("near_duplicate")] == [("train/b/moved.png",)]


def test_large_and_tiny_classes(tmp_path: Path) -> None:
    files: dict[str, Content] = {f"many/{i}.png": drawn(i, 16, 16) for i in range(60)}
    files |= {f"few/{i}.png": drawn(100 + i, 16, 16) for i in range(5)}
    result = inspected(tmp_path, files)
    assert [each.words for each in result.of("imbalance")] == ["many has 60 images, few 5"]
    assert [len(each.images) for each in result.of("tiny_class")] == [5]


def framed(number: int, colour: int) -> np.ndarray:
    image = picture(number).copy()
    image[:3], image[-3:], image[:, :3], image[:, -3:] = colour, colour, colour, colour
    return image


@pytest.mark.parametrize(("cue", "files"), [
    ("border", {f"{'ab'[i % 2]}/{i:02d}.png": framed(i, 200 if i % 2 else 20) for i in range(40)}),
    ("size of image and file", {f"{'ab'[i % 2]}/{i:02d}.png": drawn(i, 40, 44 + 4 * (i % 2)) for i in range(40)}),
    ("file name", {f"{'ab'[i % 2]}/{('shot', 'web')[i % 2]}-{i:02d}.png": picture(i) for i in range(40)}),
])
def test_a_cue_beside_the_content_gives_the_label_away(tmp_path: Path, cue: str, files: dict[str, Content]) -> None:
    assert any(f"the {cue} alone" in each.words for each in found(tmp_path, files, "shortcut"))


def test_the_name_of_the_class_in_the_file_name_is_no_shortcut(tmp_path: Path) -> None:
    files: dict[str, Content] = {f"{name}/{name}-{i:02d}.png": picture(i) for i in range(40)
                                 for name in [("cat", "horse")[i % 2]]}
    assert found(tmp_path, files, "shortcut") == []


def test_a_class_that_is_nearly_all_of_the_images_is_not_given_away(tmp_path: Path) -> None:
    """Naming it always has an F1 above 0.9, whatever the border shows."""
    files = {f"{'many' if i % 12 else 'few'}/{i:03d}.png": picture(i) for i in range(120)}
    assert found(tmp_path, files, "shortcut") == []


def test_five_images_and_equal_images_are_inspected(tmp_path: Path) -> None:
    few = inspected(tmp_path / "few", {f"{'ab'[i % 2]}/{i}.png": picture(i) for i in range(5)})
    assert set(few.counts()) == {"tiny_class"}
    equal = inspected(tmp_path / "equal", {f"{'ab'[i % 2]}/{i}.png": picture(0) for i in range(30)})
    assert [len(each.images) for each in equal.of("conflict")] == [30]


def test_images_that_are_no_files_are_named_by_split_and_number() -> None:
    names = {image for each in inspect(open_dataset("shapes:train=60,test=20"), needs=FILES).findings
             for image in each.images}
    assert names
    assert all(name.partition(":")[0] in ("train", "test") for name in names)


def test_a_second_look_reads_what_the_first_one_found(tmp_path: Path, cache: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    files = {**ordinary(), **PLANTED["leak"][0], **PLANTED["near_leak"][0]}
    first = inspected(tmp_path, files)
    assert list((cache / "findings").iterdir())
    monkeypatch.setattr("tenfold.inspection.subject.look", None)  # it is not called again
    assert inspected(tmp_path, files) == first
    cheap = inspected(tmp_path, files, ("files",))
    assert cheap == first  # also what is expensive, because it is known


def test_a_changed_file_is_inspected_anew(tmp_path: Path) -> None:
    assert len(found(tmp_path, {**ordinary(), **PLANTED["leak"][0]}, "leak")) == 1
    assert found(tmp_path, {"test/b/again.png": picture(95)}, "leak") == []


def test_a_damaged_or_read_only_cache_does_no_harm(tmp_path: Path, cache: Path) -> None:
    first = inspected(tmp_path, ordinary(20))
    for file in (cache / "findings").iterdir():
        file.write_text("{")
    assert inspected(tmp_path, ordinary(20)) == first


def test_every_kind_says_what_it_is_and_what_to_do() -> None:
    names = {"unreadable", "mode", "size", "duplicate", "near_duplicate", "leak", "near_leak", "conflict", "imbalance",
             "tiny_class", "dark", "blurred", "blank", "odd", "shortcut", "label_error"}
    assert set(known_kinds()) == names
    for each in known_kinds().values():
        assert each.meaning
        assert each.advice
    assert len({each.order for each in known_kinds().values()}) == len(names)
