"""The page of all images of CIFAR-10: how long `tenfold data explore` takes, how large the page is, how fast it opens.

    python -m benchmarks.explore [--data cifar10] [--page FILE.html] [--cache DIR] [--json FILE]

The cache is empty at the start, unless --cache names one. "again" is the same command with its cache. The first paint,
and the time until the map can be used, are those of headless Chromium, which reads the page from the disk; a frame is a
step of panning over the whole map.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.targets import Target, target

OPENED = 3  # times
FRAMES = 40
BARS = {"bytes": 15e6, "first_paint_seconds": 2.0}


def timed(data: str, page: Path) -> tuple[float, dict[str, Any]]:
    """(seconds, result) of writing the page."""
    from tenfold import jobs

    began = time.perf_counter()
    found = jobs.explore(data, out=page)
    return time.perf_counter() - began, found.to_dict()


def opened(page: Path) -> dict[str, float]:
    """Medians of the first paint, of the time until the map can be used, and of a frame."""
    from playwright.sync_api import sync_playwright

    paints, ready, frames = [], [], []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(OPENED):
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            asked: list[str] = []
            tab.on("request", lambda request, asked=asked: asked.append(request.url))  # type: ignore[misc]
            tab.goto(page.resolve().as_uri())
            tab.wait_for_selector("html[data-ready='map']", state="attached")
            ready.append(tab.evaluate("performance.now()") / 1000)
            paints.append(tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000)
            assert [url for url in asked if not url.startswith("data:")] == [page.resolve().as_uri()]
            box = tab.locator("#map").bounding_box()
            tab.mouse.move(box["x"] + 100, box["y"] + 100)
            tab.mouse.down()
            for step in range(FRAMES):
                tab.mouse.move(box["x"] + 100 + 3 * step, box["y"] + 100 + step)
                frames.append(float(tab.get_attribute("#map", "data-milliseconds")) / 1000)
            tab.mouse.up()
            tab.close()
        browser.close()
    return {"first_paint_seconds": round(statistics.median(paints), 3),
            "usable_seconds": round(statistics.median(ready), 3), "frame_seconds": round(statistics.median(frames), 4)}


def measure(data: str, page: Path) -> dict[str, Any]:
    """Write the page twice, and open it."""
    seconds, found = timed(data, page)
    again, _ = timed(data, page)
    images = sum(count for split in found["counts"].values() for count in split.values())
    return {"data": data, "images": images, "map": found["map"], "seconds": round(seconds, 1),
            "again_seconds": round(again, 1), "bytes": found["bytes"], **opened(page)}


def targets(result: dict[str, Any]) -> list[Target]:
    """The figures that have targets, and the others."""
    found = result["result"]
    return [target(f"page of {found['images']:,} images, MB", found["bytes"] / 1e6, most=BARS["bytes"] / 1e6),
            target("first paint, s", found["first_paint_seconds"], most=BARS["first_paint_seconds"])]


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--page", type=Path, help="keep the page here")
    parser.add_argument("--cache", type=Path, help="a cache that may already hold features")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TENFOLD_CACHE"] = str(options.cache or folder)
        result = measure(options.data, options.page or Path(folder) / "explore.html")
        record.write(options.json, {"bars": BARS, "result": result, **record.origin()})
    return int(any(result[name] > most for name, most in BARS.items()))


if __name__ == "__main__":
    raise SystemExit(main())
