"""Who may import whom: the house of the design, as data."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tenfold"

# Module → the modules of Tenfold that it may import; a package stands for all its modules.
FLOORS: dict[str, set[str]] = {
    "errors": set(),
    "csvfile": set(),
    "registry": {"errors"},
    "shipped": {"errors"},
    "recipe": {"errors", "registry", "shipped"},
    "backend": {"errors"},
    "modelfile": {"backend", "errors"},
    "run": {"errors", "recipe", "modelfile"},
    "data": {"errors", "registry", "recipe"},
    "foreign": {"errors", "backend"},
    "models": {"errors", "registry", "recipe", "backend", "data", "foreign"},
    "interrupt": set(),
    "training": {"errors", "registry", "recipe", "backend", "modelfile", "run", "data", "models"},
    "prediction": {"errors", "modelfile", "run", "models"},
    "evaluation": {"backend", "csvfile", "errors", "registry", "run", "data", "prediction"},
    "report": {"registry", "recipe", "run", "evaluation"},
    "comparison": {"csvfile", "errors", "registry", "run", "evaluation", "report"},
    "environment": {"data", "training"},
    "study": {"errors", "shipped", "recipe", "run", "evaluation", "comparison", "pipeline"},
    "material": {"errors", "modelfile", "run", "data", "evaluation", "report"},
    "pipeline": {
        "errors", "interrupt", "recipe", "run", "modelfile", "data", "models", "training", "environment",
        "evaluation", "report", "material",
    },
    "overview": {"errors", "recipe", "run", "data", "models", "report", "pipeline"},
    "explanation": {"errors", "modelfile", "run", "data", "prediction", "evaluation", "report", "material", "pipeline"},
    "demo": {"pipeline", "study"},
    "terminal": {"csvfile", "registry", "recipe", "run", "evaluation", "comparison", "pipeline", "report"},
    "cli": {
        "errors", "recipe", "run", "data", "prediction", "comparison", "environment", "pipeline", "overview",
        "explanation", "study", "demo", "terminal",
    },
    "__main__": {"cli"},
    "__init__": {"errors", "recipe", "run", "data", "prediction", "comparison", "pipeline", "explanation"},
}

# The only files that may import Keras or PyTorch.
ENGINE = {
    "backend.py", "modelfile.py", "prediction.py", "evaluation/explain.py", "evaluation/views.py", "models/layers.py",
    "models/summary.py", "models/backbone.py", "models/weights.py", "foreign/load.py", "training/engine.py",
    "training/optimizers.py", "training/muon.py", "training/augment.py", "training/features.py",
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


def test_every_module_stands_in_the_table() -> None:
    assert {home(path) for path in files()} == set(FLOORS)


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_the_floors_it_may(path: Path) -> None:
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


def test_no_file_is_too_long_to_be_one_idea() -> None:
    lengths = {str(p.relative_to(PACKAGE)): len(p.read_text(encoding="utf-8").splitlines()) for p in files()}
    assert not {name: lines for name, lines in lengths.items() if lines > 400}
