"""Who may import whom: the house of the design, as data."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tenfold"

# Module → the modules of Tenfold that it may import; a package stands for all its modules.
FLOORS: dict[str, set[str]] = {
    "arguments": {"errors"},
    "counted": set(),
    "csvfile": set(),
    "decisions": {"counted", "errors", "later"},
    "errors": set(),
    "extras": {"errors"},
    "machine": {"counted", "errors"},
    "notebooks": {"errors"},
    "plugins": {"errors"},
    "registry": {"errors", "plugins"},
    "shipped": {"errors", "storage"},
    "storage": {"counted", "errors"},
    "recipe": {"counted", "arguments", "errors", "notebooks", "registry", "shipped"},
    "progress": {"errors", "storage"},
    "backend": {"errors", "later"},
    "modelfile": {"counted", "errors", "backend", "foreign"},
    "run": {"counted", "decisions", "errors", "notebooks", "registry", "storage", "recipe", "modelfile", "data"},
    "data": {"counted", "errors", "later", "machine", "registry", "storage", "recipe", "progress"},
    "foreign": {"errors", "backend"},
    "models": {"counted", "errors", "registry", "storage", "recipe", "progress", "backend", "data", "foreign"},
    "runtimes": {"errors", "extras", "machine", "registry", "recipe", "backend", "modelfile", "run", "models"},
    "interrupt": set(),
    "later": set(),
    "training": {
        "errors", "machine", "registry", "storage", "recipe", "progress", "backend", "modelfile", "run", "data",
        "counted", "models", "later",
    },
    "prediction": {
        "arguments", "counted", "decisions", "errors", "machine", "notebooks", "modelfile", "run", "data", "runtimes",
    },
    "evaluation": {
        "csvfile", "decisions", "errors", "machine", "registry", "progress", "backend", "modelfile", "run", "data",
        "counted", "models", "runtimes",
    },
    "export": {
        "decisions", "errors", "extras", "machine", "registry", "storage", "progress", "backend", "modelfile", "run",
        "counted", "data", "models", "runtimes", "evaluation",
    },
    "report": {"counted", "decisions", "machine", "registry", "recipe", "progress", "run", "later", "evaluation"},
    "comparison": {"counted", "csvfile", "errors", "notebooks", "registry", "storage", "run", "evaluation", "report"},
    "inspection": {
        "errors", "extras", "machine", "registry", "storage", "recipe", "progress", "data", "training", "report",
        "counted", "later",
    },
    "environment": {"errors", "machine", "data"},
    "crossvalidation": {
        "errors", "machine", "registry", "storage", "recipe", "progress", "run", "data", "training", "evaluation",
        "counted", "report", "comparison", "jobs",
    },
    "study": {
        "arguments", "errors", "machine", "shipped", "storage", "recipe", "progress", "run", "data", "evaluation",
        "comparison", "jobs",
    },
    "search": {
        "arguments", "errors", "machine", "shipped", "storage", "recipe", "progress", "run", "data", "interrupt",
        "counted", "training", "evaluation", "report", "comparison", "jobs",
    },
    "material": {"modelfile", "run", "data", "decisions", "evaluation", "report"},
    "jobs": {
        "arguments", "errors", "extras", "machine", "registry", "storage", "recipe", "progress", "modelfile", "run",
        "data", "models", "runtimes", "interrupt", "training", "evaluation", "export", "report", "inspection",
        "counted", "environment", "material", "later",
    },
    "bench": {"counted", "errors", "extras", "machine", "registry", "progress", "run", "runtimes", "export", "report"},
    "overview": {"errors", "storage", "recipe", "progress", "run", "data", "models", "report", "jobs"},
    "explanation": {
        "arguments", "errors", "machine", "progress", "modelfile", "run", "data", "runtimes", "evaluation", "report",
        "counted", "decisions", "inspection", "material", "jobs",
    },
    "elsewhere": {
        "counted", "decisions", "errors", "machine", "progress", "run", "data", "runtimes", "evaluation", "report",
        "jobs",
    },
    "labelling": {"csvfile", "errors", "machine", "progress", "run", "data", "evaluation", "report"},
    "bulk": {"counted", "errors", "storage", "progress", "run", "data", "runtimes", "prediction", "jobs"},
    "estimator": {"run", "data", "models", "runtimes", "jobs"},
    "demo": {"progress", "study"},
    "terminal": {"counted", "csvfile", "registry", "run", "data", "evaluation", "report", "comparison"},
    "cli": {
        "errors", "plugins", "storage", "recipe", "progress", "run", "data", "interrupt", "prediction", "export",
        "report", "comparison", "inspection", "environment", "crossvalidation", "study", "search", "jobs", "bench",
        "counted", "overview", "explanation", "elsewhere", "labelling", "bulk", "demo", "terminal",
    },
    "__main__": {"cli"},
    "__init__": set(),
}

# The only files that may import Keras or PyTorch.
ENGINE = {
    "backend.py", "machine.py", "modelfile.py", "runtimes/fast.py", "runtimes/keras.py", "evaluation/explain.py",
    "models/layers.py", "models/summary.py", "models/backbone.py", "models/efficientnet_lite.py", "models/weights.py",
    "models/classifier.py", "models/compiled.py", "models/given.py", "models/twins.py", "models/depthwise.py",
    "models/inference.py", "models/fused.py", "models/masks.py", "models/ensemble.py", "foreign/custom.py",
    "foreign/load.py", "models/resizing.py",
    "training/engine.py", "training/loader.py", "training/optimizers.py", "training/adam.py", "training/muon.py",
    "training/augment.py", "training/features.py", "training/distillation.py", "training/parallel.py",
    "export/engine.py", "export/formats/torch.py", "export/formats/litert.py", "export/savedmodel/program.py",
}


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def home(path: Path) -> str:
    """The row of the table that a file belongs to."""
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, wherever in the file; type-checking imports aside."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    only_types = {
        child
        for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in only_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found |= {f"tenfold.{alias.name}" for alias in node.names} if module == "tenfold" else {module}
    return found


def edges(path: Path) -> set[str]:
    """The rows of the table that a file imports, itself aside."""
    rows = {name.split(".")[1] for name in imports(path) if name.startswith("tenfold.")}
    return rows - {home(path)}


def test_every_module_is_in_the_table() -> None:
    assert {home(path) for path in files()} == set(FLOORS)


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_the_modules_it_may(path: Path) -> None:
    assert edges(path) <= FLOORS[home(path)]


def test_there_are_no_cycles() -> None:
    TopologicalSorter(FLOORS).prepare()  # raises CycleError


def test_every_permission_is_used() -> None:
    used: dict[str, set[str]] = {row: set() for row in FLOORS}
    for path in files():
        if home(path) != "__init__":
            used[home(path)] |= edges(path)
    unused = {row: FLOORS[row] - used[row] for row in FLOORS if row != "__init__" and FLOORS[row] - used[row]}
    assert not unused


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_engine_modules_import_the_engine(path: Path) -> None:
    engine = {name for name in imports(path) if name.split(".")[0] in {"keras", "torch"}}
    if str(path.relative_to(PACKAGE)) in ENGINE:
        assert engine or "tenfold.backend" in imports(path)
    else:
        assert not engine


def test_no_file_is_longer_than_the_limit() -> None:
    lengths = {str(p.relative_to(PACKAGE)): len(p.read_text(encoding="utf-8").splitlines()) for p in files()}
    assert not {name: lines for name, lines in lengths.items() if lines > 400}
