"""Decode a folder of images with Pillow, at full size, then resize: the plain loop in as many threads as cores."""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int)
    arguments = parser.parse_args()
    started = time.perf_counter()
    files = sorted(arguments.folder.glob("*/*"))

    def decode(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            pixels = image.convert("RGB")
            if arguments.size:
                pixels = pixels.resize((arguments.size, arguments.size), Image.Resampling.BILINEAR)
            return np.asarray(pixels)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        images = np.stack(list(pool.map(decode, files)))
    seconds = time.perf_counter() - started
    print(json.dumps({"images": len(images), "seconds": seconds, "images_per_second": len(images) / seconds}))


if __name__ == "__main__":
    main()
