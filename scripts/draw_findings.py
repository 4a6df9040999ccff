"""Draw docs/images/findings: for each kind of finding, a part of the page of `tenfold data check`.

    python scripts/draw_findings.py

Makes folders of drawn shapes with every fault, inspects them, and takes pictures of the pages in headless Chromium.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import sync_playwright

from tenfold.data import open_dataset
from tenfold.data.exclusion import identified
from tenfold.inspection import inspect, known_kinds
from tenfold.inspection.page import write_page
from tenfold.recipe import DataSection

FOLDER = Path(__file__).parent.parent / "docs" / "images" / "findings"
CLASSES = ("circle", "cross", "square", "star")
EACH, FEW = 60, 5  # images a class; of the last class
SHOWN = 6  # images of a finding in its picture
WIDTH = 620  # of a picture, in pixels
APART = ("shortcut",)  # the kinds that the second folder shows
PLANTED = {"near_duplicate": "brighter", "near_leak": "moved", "duplicate": "again", "blurred": "soft",
           "label_error": "mislabelled", "odd": "scan"}  # kind → part of the name of an image in its picture


def main() -> None:
    """Write the pictures."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        os.environ["TENFOLD_CACHE"] = str(folder / "cache")
        pages = [_inspected(folder / "faults", _plant_faults), _inspected(folder / "shortcut", _plant_shortcut)]
        for page, kinds in zip(pages, ([kind for kind in known_kinds() if kind not in APART], APART),
                               strict=True):
            _take_pictures(page, kinds)


def _shapes() -> Iterator[tuple[str, Image.Image]]:
    """Drawn images with their names, `SPLIT/CLASS/NUMBER`."""
    shapes = open_dataset("shapes:train=2000,test=10,size=96,difficulty=0.7")
    labels = np.asarray(shapes.train.labels)
    for name in CLASSES:
        count = FEW if name == CLASSES[-1] else EACH
        chosen = np.flatnonzero(labels == shapes.classes.index(name))[:count]
        for number, position in enumerate(chosen):
            split = "test" if number % 4 == 3 else "train"
            yield f"{split}/{name}/{number:02d}", Image.fromarray(np.asarray(shapes.train.images[position]))


def _inspected(folder: Path, plant: Callable[[dict[str, Image.Image]], dict[str, Image.Image | bytes]]) -> Path:
    for name, image in plant(dict(_shapes())).items():
        path = folder / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(image, bytes):
            path.write_bytes(image)
        else:
            image.save(path, quality=92)
    headers: dict[str, Any] = {}
    dataset = identified(open_dataset(str(folder), section=DataSection(group=None), side=160, visit=headers.update))
    return write_page(dataset, inspect(dataset, headers), folder.with_suffix(".html"))


def _plant_faults(images: dict[str, Image.Image]) -> dict[str, Image.Image | bytes]:
    draw = np.random.default_rng(0)
    screenshot = Image.new("RGB", (96, 96), "white")
    canvas = ImageDraw.Draw(screenshot)
    for line in range(8):
        canvas.text((6, 4 + 11 * line), "Invoice No. 2041"[: int(draw.integers(6, 17))], fill="black")
    moved = Image.fromarray(np.roll(np.asarray(images["train/square/04"]), (2, 3), (0, 1)))
    planted: dict[str, Image.Image | bytes] = {
        "train/circle/damaged": _start_of(images["train/circle/00"]),
        "test/circle/same": images["train/circle/01"],
        "train/cross/same": images["train/circle/02"],
        "test/square/moved": moved,
        "train/cross/again": images["train/cross/01"],
        "train/cross/brighter": images["train/cross/02"].point(lambda value: min(255, int(value * 1.15))),
        "train/cross/mislabelled": _another("circle", 0),
        "train/circle/mislabelled": _another("square", 1),
        "train/square/even": Image.new("RGB", (96, 96), (96, 120, 90)),
        "train/circle/night": images["train/circle/05"].point(lambda value: value // 6),
        "train/square/soft": images["train/square/13"].filter(ImageFilter.GaussianBlur(4)),
        "train/cross/grey": images["train/cross/08"].transpose(Image.Transpose.ROTATE_90).convert("L"),
        "train/square/thumbnail": images["train/square/09"].resize((14, 14)),
        "train/cross/scan": screenshot,
    }
    return {**images, **planted}


def _plant_shortcut(images: dict[str, Image.Image]) -> dict[str, Image.Image | bytes]:
    framed: dict[str, Image.Image | bytes] = dict(images)
    for name, image in images.items():
        if "/circle/" in name:
            ImageDraw.Draw(image).rectangle((0, 0, 95, 95), outline=(180, 40, 40), width=5)
    return framed


def _another(kind: str, number: int) -> Image.Image:
    shapes = open_dataset("shapes:train=200,test=10,size=96,difficulty=0.2,seed=9")
    of_kind = np.flatnonzero(np.asarray(shapes.train.labels) == shapes.classes.index(kind))
    return Image.fromarray(np.asarray(shapes.train.images[of_kind[number]]))


def _start_of(image: Image.Image) -> bytes:
    with tempfile.TemporaryFile() as file:
        image.save(file, "JPEG")
        file.seek(0)
        return file.read(900)


def _take_pictures(page: Path, kinds: Any) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": 900})
        tab.goto(page.as_uri())
        tab.add_style_tag(content=f".findings figure:nth-child(n+{SHOWN + 1}), .decide {{ display: none }}")
        for kind in kinds:
            rows = tab.locator(f"section#{kind} tbody tr").filter(has_text=PLANTED.get(kind, ""))
            if rows.count():
                rows.first.screenshot(path=FOLDER / f"{kind}.png")
            else:
                print(f"{kind}: was not found")
        browser.close()


if __name__ == "__main__":
    main()
