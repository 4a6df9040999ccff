"""Write the table of a finished study into a page of the documentation.

    tenfold study six-models --data cifar10 --seeds 3
    python -m benchmarks.studies runs/six-models-cifar10-1 [--page docs/comparison.md]

Replaces what stands between the page's lines `<!-- six-models: begin -->` and `<!-- six-models: end -->`.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from tenfold.comparison import compare, markdown
from tenfold.run import Run

ROOT = Path(__file__).parent.parent


def with_table(page: str, name: str, table: str) -> str:
    """The page with the table between its marks. Raises ValueError if it has none."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"the page needs the lines {begin} and {end}, once each")
    head, _, rest = page.partition(begin)
    return f"{head}{begin}\n\n{table.strip()}\n\n{end}{rest.partition(end)[2]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="the study's directory")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "comparison.md")
    arguments = parser.parse_args()
    written = json.loads((arguments.study / "comparison.json").read_text(encoding="utf-8"))
    board = compare(Run.list(arguments.study), written["by"])
    skipped = [sentence for sentence in written["left_out"] if sentence not in board.left_out]
    names = dict.fromkeys(sentence.split(" ", 1)[0] for sentence in skipped)  # the reasons name this machine's paths
    table = markdown(board)
    if names:
        table += f"\nSkipped, because the weights were not available here: {', '.join(names)}.\n"
    name = re.sub(r"-[^-]+-\d+$", "", arguments.study.name)
    page = arguments.page.read_text(encoding="utf-8")
    arguments.page.write_text(with_table(page, name, table), encoding="utf-8")
    print(f"wrote the table of {name} into {arguments.page}")


if __name__ == "__main__":
    main()
