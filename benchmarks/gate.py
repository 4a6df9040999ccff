"""The gate: what `tenfold data check` finds of planted faults, and how long it takes.

    python -m benchmarks.gate [--images 10000] [--seed 0] [--sheet FILE.png] [--folder DIR] [--json FILE]

Writes two copies of CIFAR-10 or of a random part as JPEG: one as it is, and one with faults planted from the seed: 100
training images that are also in the test split, 100 that are nearly so (encoded anew, shifted by up to 3 pixels,
brighter or darker), 50 truncated files, and 5 % of the labels, at most 500, changed to another class. Pairs that are
also found in the copy without faults say nothing about the planted ones; they are left out of the count, and --sheet
draws 100 of them to look at. The cache is empty at the start. Where fewer images are on this machine, mirrored ones
make up the number.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import record

EXACT, NEAR, TRUNCATED, FLIPPED, FLIPPED_PART = 100, 100, 50, 500, 0.05
SHIFT, BRIGHTER, QUALITIES = 3, 0.25, (50, 85)  # pixels; change of the brightness; of the JPEG file
QUALITY = 95  # of the copy
SHOWN = 100  # pairs on the sheet
NAMES = {"exact": "equal images in two splits", "near": "nearly equal ones", "truncated": "truncated files",
         "label errors": "wrong labels"}  # of the faults in a table

Pair = frozenset[str]


@dataclass
class Planted:
    """The planted faults by the names of the files."""

    exact: set[Pair] = field(default_factory=set)
    near: set[Pair] = field(default_factory=set)
    truncated: set[str] = field(default_factory=set)
    flipped: set[str] = field(default_factory=set)


def chosen(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    """(images, labels, splits, classes): `count` images, a fifth of them in test as far as there are so many."""
    from tenfold.data import open_dataset

    dataset, rng = open_dataset("cifar10"), np.random.default_rng(0)
    train, test = dataset.train, dataset.test
    assert test is not None
    tested = np.sort(rng.permutation(len(test))[: count // 5])
    trained = np.sort(rng.permutation(len(train))[: count - len(tested)])
    mirrored = np.sort(rng.permutation(len(train))[: count - len(tested) - len(trained)])
    images = np.concatenate([train.images[trained], train.images[mirrored][:, :, ::-1], test.images[tested]])
    labels = np.concatenate([train.labels[trained], train.labels[mirrored], test.labels[tested]])
    return images, labels, np.repeat(["train", "test"], [count - len(tested), len(tested)]), dataset.classes


def encoded(image: np.ndarray, quality: int = QUALITY) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def altered(image: np.ndarray, rng: np.random.Generator) -> bytes:
    """The image shifted, brighter or darker, and encoded anew."""
    down, across = rng.integers(-SHIFT, SHIFT + 1, 2)
    padded = np.pad(image, ((SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)), "edge")
    moved = padded[SHIFT + down : SHIFT + down + 32, SHIFT + across : SHIFT + across + 32]
    bright = np.clip(moved * rng.uniform(1 - BRIGHTER, 1 + BRIGHTER), 0, 255).astype(np.uint8)
    return encoded(bright, int(rng.integers(*QUALITIES)))


def write_copies(folder: Path, count: int, seed: int) -> Planted:
    """Write the folders `clean` and `planted`."""
    images, labels, splits, classes = chosen(count)
    rng, planted = np.random.default_rng(seed), Planted()
    train, wrong = np.flatnonzero(splits == "train"), labels.copy()
    flips = min(FLIPPED, round(FLIPPED_PART * count))
    exact, near, truncated, flipped = np.split(rng.permutation(train)[: EXACT + NEAR + TRUNCATED + flips],
                                               np.cumsum([EXACT, NEAR, TRUNCATED]))
    wrong[flipped] = (labels[flipped] + rng.integers(1, len(classes), flips)) % len(classes)

    def put(copy: str, split: str, label: int, name: str, content: bytes) -> str:
        path = folder / copy / split / classes[label] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path.relative_to(folder / copy).as_posix()

    names = {}
    for i, image in enumerate(images):
        content = encoded(image)
        put("clean", splits[i], labels[i], f"{i:06d}.jpg", content)
        names[i] = put("planted", splits[i], wrong[i], f"{i:06d}.jpg", content)
    for i in exact:
        source = (folder / "planted" / names[i]).read_bytes()
        planted.exact.add(frozenset((names[i], put("planted", "test", labels[i], f"{i:06d}-copy.jpg", source))))
    for i in near:
        content = altered(images[i], rng)
        planted.near.add(frozenset((names[i], put("planted", "test", labels[i], f"{i:06d}-near.jpg", content))))
    for i in truncated:
        path = folder / "planted" / names[i]
        path.write_bytes(path.read_bytes()[: int(rng.uniform(0.3, 0.9) * path.stat().st_size)])
        planted.truncated.add(names[i])
    planted.flipped = {names[i] for i in flipped}
    return planted


def pairs(findings: list[dict[str, Any]], *kinds: str) -> set[Pair]:
    """All pairs of images in the same finding of some kinds."""
    return {frozenset(pair) for finding in findings if finding["kind"] in kinds
            for pair in itertools.combinations(finding["images"], 2)}


def number(name: str) -> str:
    """The number of an image or of the one that it is a copy of, the same in both folders."""
    return Path(name).stem[:6]


def new_pairs(found: set[Pair], known: set[Pair]) -> set[Pair]:
    """The pairs that do not show two images that are also a pair in the copy without faults."""
    numbers = {frozenset(map(number, pair)) for pair in known}
    return {pair for pair in found if frozenset(map(number, pair)) not in numbers}


def quality(found: set[Any], true: set[Any]) -> dict[str, Any]:
    right = len(found & true)
    return {"planted": len(true), "found": len(found), "right": right, "recall": right / max(1, len(true)),
            "precision": right / max(1, len(found))}


def inspected(folder: Path) -> dict[str, Any]:
    """The findings of a folder, and the seconds with and without label errors, beginning with an empty cache."""
    from tenfold.inspection import ALL
    from tenfold.jobs.checking import check

    with emptied_cache():
        started = time.perf_counter()
        check(folder, needs=[each for each in ALL if each != "classifier"])
        middle = time.perf_counter()
        _, found = check(folder)
        ended = time.perf_counter()
        check(folder)
        again = time.perf_counter()
    return {"findings": found.to_dict()["findings"], "skipped": dict(found.skipped), "seconds": {
        "without label errors": middle - started, "label errors": ended - middle, "second look": again - ended}}


@contextlib.contextmanager
def emptied_cache() -> Iterator[None]:
    before = os.environ.get("TENFOLD_CACHE")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TENFOLD_CACHE"] = cache
        try:
            yield
        finally:
            del os.environ["TENFOLD_CACHE"]
            if before is not None:
                os.environ["TENFOLD_CACHE"] = before


def write_sheet(path: Path, folder: Path, found: set[Pair], seed: int) -> None:
    """Draw up to 100 pairs side by side, ten pairs in a row, each image four times as large."""
    listed = sorted(map(sorted, found))
    rows = np.random.default_rng(seed).permutation(len(listed))[:SHOWN]
    sheet = Image.new("RGB", (10 * 272, -(-len(rows) // 10) * 140), "white")
    for place, row in enumerate(rows):
        for side, name in enumerate(listed[row]):
            image = Image.open(folder / name).convert("RGB").resize((128, 128), Image.Resampling.BICUBIC)
            sheet.paste(image, (place % 10 * 272 + side * 129, place // 10 * 140))
    sheet.save(path)


def table(result: dict[str, Any]) -> str:
    """The Markdown table of a result."""
    lines = [f"{result['images']:,} images:", "", "| planted | found | false alarms | recall | precision |",
             "|---|---|---|---|---|"]
    for name in ("exact", "near", "truncated", "label errors"):
        each = result[name]
        lines.append(f"| {each['planted']} {NAMES[name]} | {each['right']} | {each['found'] - each['right']} | "
                     f"{each['recall']:.1%} | {each['precision']:.1%} |")
    seconds = result["seconds"]
    return "\n".join([*lines, "", f"It took {seconds['without label errors']:.0f} s without suspected labels, which "
                      f"took {seconds['label errors']:.0f} s more; a second look took {seconds['second look']:.1f} s."])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=record.positive, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--folder", type=Path, help="where the copies are written, and stay")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for copy in ("clean", "planted"):
            shutil.rmtree(folder / copy, ignore_errors=True)
        planted = write_copies(folder, arguments.images, arguments.seed)
        clean, faulty = inspected(folder / "clean"), inspected(folder / "planted")
        exact = [pairs(each["findings"], "leak", "duplicate") for each in (clean, faulty)]
        near = [pairs(each["findings"], "near_leak", "near_duplicate") for each in (clean, faulty)]
        singles = {kind: {name for each in faulty["findings"] if each["kind"] == kind for name in each["images"]}
                   for kind in ("unreadable", "label_error")}
        if arguments.sheet:
            write_sheet(arguments.sheet, folder / "clean", near[0], arguments.seed)
        result = {
            "images": arguments.images, "seed": arguments.seed,
            "exact": quality(new_pairs(exact[1], exact[0]), planted.exact),
            "near": quality(new_pairs(near[1], near[0] | exact[0]) - exact[1], planted.near),
            "truncated": quality(singles["unreadable"], planted.truncated),
            "label errors": quality(singles["label_error"], planted.flipped),
            "pairs without planted faults": {"exact": len(exact[0]), "near": len(near[0])},
            "findings without planted faults": {kind: sum(each["kind"] == kind for each in clean["findings"])
                                                for kind in dict.fromkeys(each["kind"] for each in clean["findings"])},
            "skipped": faulty["skipped"], "seconds": faulty["seconds"]}
    record.write(arguments.json, {**result, **record.origin()})


if __name__ == "__main__":
    main()
