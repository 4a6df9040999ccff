"""Open a folder of images with Tenfold, decoded anew into an empty cache: seconds of the decoding."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--size", type=int)
    arguments = parser.parse_args()
    from tenfold.data import open_dataset
    from tenfold.recipe import DataSection

    with tempfile.TemporaryDirectory() as cache:
        os.environ["TENFOLD_CACHE"] = cache
        started = time.perf_counter()
        dataset = open_dataset(f"folder:{arguments.folder}", section=DataSection(size=arguments.size, group=None,
                                                                                 resize="stretch"))
        count = len(dataset.train)
        seconds = time.perf_counter() - started
    print(json.dumps({"images": count, "seconds": seconds, "images_per_second": count / seconds,
                      "shape": list(dataset.shape)}))


if __name__ == "__main__":
    main()
