"""Classify a folder of images into a CSV with `tenfold predict --csv`, as a process of its own."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="a run directory or an exported model")
    parser.add_argument("folder")
    parser.add_argument("out", help="the CSV file")
    arguments = parser.parse_args()
    started = time.perf_counter()
    with open(arguments.out, "w", encoding="utf-8") as file:
        subprocess.run([sys.executable, "-m", "tenfold", "predict", arguments.run, arguments.folder, "--csv"],
                       stdout=file, check=True)
    seconds = time.perf_counter() - started
    with open(arguments.out, encoding="utf-8") as file:
        count = sum(1 for _ in file) - 1
    print(json.dumps({"images": count, "seconds": seconds, "images_per_second": count / seconds}))


if __name__ == "__main__":
    main()
