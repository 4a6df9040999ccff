"""Train two recipes at two commits on this machine and compare them: weights bit for bit, metrics to 1e-12.

    python scripts/same_weights.py BEFORE [AFTER]

AFTER is HEAD unless it is given. Each commit is checked out into a temporary worktree and runs in a process of its own
with this Python's packages. Exits with 1 if a weight or a metric differs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# Keys as version 0.1.0 knows them: later versions read them as well.
RECIPES = {
    "dense": """
[data]
source = "digits"
[model]
name = "mlp"
[train]
epochs = 3
optimizer = "sgd"
momentum = 0.8
""",
    "convolutional": """
[data]
source = "shapes:train=600,test=200,seed=3"
[model]
name = "cnn"
filters = [8, 16]
head = "global-average"
norm = "batch"
dropout = 0.2
[train]
epochs = 3
batch_size = 50
schedule = "one-cycle"
label_smoothing = 0.1
[train.augment.mirror]
[train.augment.crop]
share = 0.9
[train.augment.mixup]
""",
}

PROGRAM = """
import json, sys, hashlib
from pathlib import Path
import tenfold
found = {}
for path in sorted(Path(sys.argv[1]).glob("*.toml")):
    run = tenfold.train(path, runs=sys.argv[2])
    metrics = {split: {name: entry for name, entry in scored.items() if name not in ("scored", "times", "notes")}
               for split, scored in json.loads((run.path / "metrics.json").read_text()).items()}
    weights = [hashlib.sha256(w.tobytes()).hexdigest() for w in run.model().get_weights()]
    found[path.stem] = {"weights": weights, "metrics": metrics}
print(json.dumps(found))
"""


def trained(commit: str, folder: Path) -> dict[str, dict]:
    """What each recipe came to at a commit: the hashes of its weights, its metrics."""
    tree, recipes = folder / "tree", folder / "recipes"
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", tree, commit], check=True)
    try:
        recipes.mkdir()
        for name, text in RECIPES.items():
            (recipes / f"{name}.toml").write_text(text)
        done = subprocess.run([sys.executable, "-c", PROGRAM, recipes, folder / "runs"], check=True, cwd=tree,
                              stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(tree)})
        return json.loads(done.stdout)
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", tree], check=True)


def close(old: object, new: object) -> bool:
    """Whether two JSON values are the same, numbers to within 1e-12.

    Sentences and keys that only the newer one has do not count.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        return all(close(value, new.get(key)) for key, value in old.items() if key != "reason")
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(close, old, new))
    if isinstance(old, float) and isinstance(new, float):
        return abs(old - new) < 1e-12
    return old == new


def main() -> None:
    before, after = (*sys.argv[1:3], "HEAD")[:2]
    found = []
    for commit in (before, after):
        with tempfile.TemporaryDirectory() as folder:
            found.append(trained(commit, Path(folder)))
    same = True
    for name in RECIPES:
        old, new = found[0][name], found[1][name]
        equal = [a == b for a, b in zip(old["weights"], new["weights"], strict=True)]
        other = [f"{split}.{key}" for split, scored in old["metrics"].items() for key, value in scored.items()
                 if not close(value, new["metrics"].get(split, {}).get(key))]
        print(f"{name}: {sum(equal)} of {len(equal)} arrays of weights are the same bit for bit; "
              f"metrics that differ: {', '.join(other) or 'none'}")
        same = same and all(equal) and not other
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
