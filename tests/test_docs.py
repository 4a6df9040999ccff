"""Everything that can be named is in the documentation, and the generated pages are what the code says."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from tenfold.cli import app
from tenfold.inspection import known_kinds
from tenfold.recipe import shipped
from tenfold.registry import AUGMENTATIONS, DATASETS, MODELS

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import write_docs  # noqa: E402  (a script, not a package)

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
TEXTS = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in PAGES}


@pytest.mark.parametrize("page", write_docs.PAGES)
def test_a_generated_page_is_up_to_date(page: str) -> None:
    assert (ROOT / "docs" / page).read_text(encoding="utf-8") == write_docs.PAGES[page](), "run `make docs`"


def test_every_data_set_is_documented() -> None:
    text = TEXTS[Path("docs/data.md")]
    assert not [name for name in DATASETS.names() if f"| `{name}` |" not in text]


def test_every_finding_is_explained_with_a_picture() -> None:
    explained = re.findall(r"^### `(\w+)`\n\n[^#]+!\[\1\]\((images/findings/\1\.png)\)\n",
                           TEXTS[Path("docs/inspection.md")], re.MULTILINE)
    assert [kind for kind, _ in explained] == list(known_kinds())
    assert all((ROOT / "docs" / picture).is_file() for _, picture in explained)


def test_every_recipe_model_and_augmentation_is_documented() -> None:
    recipes, keys = TEXTS[Path("docs/recipes.md")], TEXTS[Path("docs/recipe-keys.md")]
    assert not [name for name in shipped() if f"## {name}\n" not in recipes]
    assert not [name for name in [*MODELS.names(), *AUGMENTATIONS.names()] if f"## `{name}`" not in keys]


def test_every_module_is_documented() -> None:
    text = TEXTS[Path("docs/architecture.md")]
    modules = {p.stem for p in (ROOT / "tenfold").iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()}
    assert not [name for name in modules - {"__init__"} if f"`{name}`" not in text]


def test_the_readme_is_short() -> None:
    lines = TEXTS[Path("README.md")].splitlines()
    assert len(lines) < 150
    assert max(map(len, lines)) <= 110


def test_every_command_is_in_the_readme() -> None:
    text = TEXTS[Path("README.md")]
    leaves = [" ".join(words) for words in write_docs.commands() if words and words != ["data"]]
    named = set(re.findall(r"tenfold ((?:data )?[a-z]+)", text))
    assert not [words for words in leaves if words not in named and words != "data fetch"]


@pytest.mark.parametrize("path", TEXTS, ids=str)
def test_links_have_a_target(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXTS[path])
    assert not [target for target in targets if not (ROOT / path.parent / target).exists()]


@pytest.mark.parametrize("path", TEXTS, ids=str)
def test_commands_in_the_text_exist(path: Path) -> None:
    known = {" ".join(words) for words in write_docs.commands()}
    used = re.findall(r"^(?:\.venv/bin/)?tenfold ((?:data )?[a-z]+)", TEXTS[path], flags=re.MULTILINE)
    assert not [words for words in used if words not in known]


def test_the_readmes_commands_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every `tenfold …` line of the README's list, on small data in place of the large."""
    small = {
        "--data cifar10": "--data shapes:train=600,test=60", "show cifar10": "show shapes:train=600,test=60",
        "--data mnist": "--data digits", "-cifar10-": "-shapes-", "train.epochs=20": "train.epochs=1",
        "cat,dog,ship": "circle,square,star", "--seeds 3": "--seeds 2", "--epochs 30": "--epochs 2",
        "tenfold bench": "tenfold bench --batch 1 --rounds 1",
        "try photos/": "try photos/ --set model.image_size=32 --set data.group=none",
        "runs/*": "runs/cnn3-plateau-shapes-1", "--trials 30": "--trials 2 --final-seeds 1 --set train.epochs=1",
        "study six-models --seeds 2": "study quick", "--folds 5": "--folds 3 --set train.epochs=1",
    }
    text = TEXTS[Path("README.md")].partition("## What it does")[2].partition("```\n\nFrom Python")[0]
    lines = [line.partition("#")[0].split() for line in text.splitlines() if line.startswith("tenfold ")]
    assert len(lines) >= 9
    monkeypatch.chdir(tmp_path)
    for colour in ("red", "blue"):
        (tmp_path / "photos" / colour).mkdir(parents=True)
        for i in range(8):
            Image.new("RGBA", (50 + i, 40), colour).save(tmp_path / "photos" / colour / f"{i}.png")
    for words in lines:
        command = " ".join(words)
        for large, little in small.items():
            command = command.replace(large, little)
        result = CliRunner().invoke(app, command.split()[1:])
        assert result.exit_code == 0, f"{command}: {result.output}"
        assert result.stdout
