"""Run all tests of the drill or some of them; results go to `docs/reliability.json` and `docs/reliability.md`."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import drill
from drill.page import render
from drill.training import Ground
from tenfold import machine
from tenfold.environment import versions

DOCS = Path(__file__).parent.parent / "docs"


def main() -> int:
    table = drill.rows()
    parser = argparse.ArgumentParser(prog="python -m drill", description=drill.__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="TEST", help=f"any of {', '.join(table)} (default: all)")
    parser.add_argument("--count", type=int, help="number of tries (default: set per test)")
    parser.add_argument("--into", type=Path, default=DOCS, metavar="DIR",
                        help="where to write the results (default: docs)")
    arguments = parser.parse_args()
    if unknown := set(arguments.rows) - set(table):
        parser.error(f"unknown test {', '.join(sorted(unknown))}; choose from {', '.join(table)}")
    _become_able_to_mount()
    file = arguments.into / "reliability.json"
    results = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    ground, good = Ground(Path(tempfile.mkdtemp(prefix="tenfold-drill-"))), True
    for name in arguments.rows or table:
        results[name] = run(table[name], ground, arguments.count)
        good &= results[name]["met"]
        print(f"{name:<16} {results[name]['good']} of {results[name]['tries']}"
              f"{'' if results[name]['met'] else ': NOT MET ' + results[name]['skipped']}"
              f"  ({results[name]['seconds']:.0f} s)", *results[name]["problems"], sep="\n  ", flush=True)
        ordered = {key: results[key] for key in table if key in results}
        file.write_text(json.dumps(ordered, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (arguments.into / "reliability.md").write_text(render(ordered), encoding="utf-8")
    if good:
        shutil.rmtree(ground.root)
    else:
        print(f"files of the failed tests: {ground.root}")
    return 0 if good else 1


def run(row: drill.Row, ground: Ground, count: int | None) -> dict[str, object]:
    """Run a row and return its entry of `reliability.json`."""
    before = time.monotonic()
    tally = row.run(ground, count or row.count)
    seconds = time.monotonic() - before
    facts, found = machine.facts(), versions()
    where = (f"{machine.cores()} of "
             f"{facts['cores']} cores of {facts['processor']}, {facts['memory_gib']} GiB, {facts['system']}; Python "
             f"{found['python']}, Keras {found['keras']}, PyTorch {found['torch']}, NumPy {found['numpy']}")
    return {"title": row.title, "target": row.target, **asdict(tally), "met": tally.met, "seconds": round(seconds, 1),
            "machine": where, "date": datetime.date.today().isoformat()}


def _become_able_to_mount() -> None:
    """Restart in a new user namespace, which allows mounting a small file system without being root."""
    unshare = shutil.which("unshare")
    if os.name == "posix" and os.geteuid() != 0 and unshare and "TENFOLD_DRILL" not in os.environ:
        os.environ["TENFOLD_DRILL"] = "in a namespace"
        if os.spawnvp(os.P_WAIT, unshare, [unshare, "-rm", "true"]) == 0:
            os.execv(unshare, [unshare, "-rm", sys.executable, "-m", "drill", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
