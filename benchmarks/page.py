"""A model as one web page in headless Chromium: size, start, agreement with its source and speed, on one thread.

    python -m benchmarks.page [--images 1000] [--rounds 3] [--json FILE]

Trains `cifar-cnn` and a logistic probe on EfficientNetLite0 (96×96 pixels) for moments on a part of CIFAR-10, writes
the pages of both in float32 and in int8, opens each from the disk in Chromium, and gives it test images as PNG files.
The top classes are compared with those of `tenfold predict --runtime keras` (int8: of the int8 ONNX model).
"""

from __future__ import annotations

import argparse
import csv
import io
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import exports, record
from benchmarks.side_by_side import log, spread
from benchmarks.targets import Target, target
from benchmarks.targets import table as targets_table
from tenfold import jobs
from tenfold.prediction import predict
from tenfold.run import Run

CNN, BACKBONE = "cifar-cnn", "EfficientNetLite0, 96 pixels, probe"
PIECE = 100  # images given to the page at a time
MINUTES = 10 * 60_000  # milliseconds to wait for answers


def test_images(folder: Path, count: int) -> list[Path]:
    """Test images of CIFAR-10 as PNG files."""
    import tenfold

    images = tenfold.open_dataset("cifar10").test.images[np.arange(count)]
    folder.mkdir(parents=True)
    paths = [folder / f"{number:05d}.png" for number in range(count)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    return paths


@contextmanager
def opened(browser: Any, page: Path, errors: list[str]) -> Iterator[Any]:
    """A tab with the page, ready to answer. `errors` collects what the console shows."""
    tab = browser.new_page()
    tab.on("console", lambda message: errors.append(message.text))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(page.as_uri())
    tab.wait_for_selector("body[data-ready]", timeout=MINUTES)
    yield tab
    tab.close()


def measure(browser: Any, run: Run, int8: bool, paths: list[Path], rounds: int) -> dict[str, Any]:
    """Size, start, agreement and speed of one page."""
    made = jobs.export(run, "html", int8=int8, lose=100)
    source = jobs.export(run, "onnx", int8=True, lose=100).path if int8 else run
    expected = [each.label for each in predict(source, paths, runtime="auto" if int8 else "keras")]
    errors: list[str] = []
    ready, rates, same = [], [], 0
    for _ in range(rounds):
        with opened(browser, made.path, errors) as tab:
            ready.append(float(tab.evaluate("document.body.dataset.ready")) / 1000)
            rates.append(_answer(tab, paths))
            with tab.expect_download() as download:
                tab.click("#csv")
            rows = csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8")))
            same = sum(row["label"] == label for row, label in zip(rows, expected, strict=True))
    return {"megabytes": made.size / 1e6, "ready_seconds": spread(ready), "images": len(paths), "same_class": same,
            "images_per_second": spread(rates), "console": errors, "accuracy_change": made.agreement.accuracy}


def _answer(tab: Any, paths: list[Path]) -> float:
    """Give the images to the page; returns the images a second, from files to shown answers."""
    taken = 0.0
    for start in range(0, len(paths), PIECE):
        part = paths[start : start + PIECE]
        started = time.perf_counter()
        tab.set_input_files("#files", [str(path) for path in part])
        tab.wait_for_selector(f"#answers > li:nth-child({start + len(part)})", state="attached", timeout=MINUTES)
        taken += time.perf_counter() - started
    return len(paths) / taken


def targets(pages: dict[str, dict[str, Any]]) -> list[Target]:
    """The figures that have targets, and whether they are met."""
    cnn, small = pages[CNN], pages[f"{BACKBONE}, int8"]
    exact = [page for name, page in pages.items() if not name.endswith("int8")]
    return [
        target("cifar-cnn, MB", cnn["megabytes"], most=7),
        target("EfficientNetLite0 in int8, MB", small["megabytes"], most=13),
        target("slowest page ready, seconds", max(page["ready_seconds"]["median"] for page in pages.values()), most=2),
        target("float32: images with another top class than Keras",
               sum(page["images"] - page["same_class"] for page in exact), most=0),
        target("cifar-cnn, images a second", cnn["images_per_second"]["median"], least=20),
        target("messages on the console", sum(len(page["console"]) for page in pages.values()), most=0),
    ]


def table(result: dict[str, Any]) -> str:
    """The Markdown tables of a result."""
    lines = ["| page | MB | ready, s | images/s | same top class |", "|---|---|---|---|---|"]
    lines += [f"| {name} | {page['megabytes']:.1f} | {page['ready_seconds']['median']:.2f} | "
              f"{page['images_per_second']['median']:.0f} | {page['same_class']:,} of {page['images']:,} |"
              for name, page in result["pages"].items()]
    return "\n".join([*lines, "", targets_table(targets(result["pages"]))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=record.positive, default=1000)
    parser.add_argument("--rounds", type=record.positive, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    from tenfold.export.page import runtime

    runtime.fetch()
    pages: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="tenfold-page-") as name, sync_playwright() as driver:
        paths = test_images(Path(name) / "images", arguments.images)
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for number, family in enumerate((CNN, BACKBONE)):
            run = exports.FAMILIES[family](Path(name) / str(number))
            for int8 in (False, True):
                called = f"{family}, int8" if int8 else family
                pages[called] = measure(browser, run, int8, paths, arguments.rounds)
                log(f"{called}: {pages[called]}")
        version = browser.version
        browser.close()
    record.write(arguments.json, {"pages": pages, "chromium": version, **record.origin()})


if __name__ == "__main__":
    main()
