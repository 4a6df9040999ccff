"""The page of an inspection in a real browser: sort, decide, export, and use the decisions."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsers import Browser
from made_images import by_name, drawn, encoded, plant

from tenfold.data import Dataset, open_dataset
from tenfold.data.exclusion import decided, exclude, identified
from tenfold.inspection import inspect
from tenfold.inspection.page import write_page
from tenfold.recipe import DataSection

ODD = "b/=1+1, \"<b>&.png"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    """The page of pictures with a damaged file, equal ones with and without a conflict, a dark and an even one."""
    root = tmp_path_factory.mktemp("page")
    files: dict[str, Any] = {f"{'ab'[i % 2]}/{i:02d}.png": drawn(i, 40, 48) for i in range(50)}
    files |= {"a/cut.jpg": encoded(drawn(90, 40, 48), "JPEG")[:500], "a/again.png": drawn(0, 40, 48),
              ODD: drawn(2, 40, 48), "b/night.png": drawn(91, 40, 48) // 6,
              "b/even.png": np.full((40, 48, 3), 99, np.uint8)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENFOLD_CACHE", str(root / "cache"))
        dataset = identified(open_dataset(str(plant(root / "images", files)), section=DataSection(group=None)))
        found = inspect(dataset, needs=("files", "pixels", "pairs"))
        return dataset, write_page(dataset, found, root / "check.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_asks_for_nothing_and_fits(browser: Browser, page: tuple[Dataset, Path], width: int,
                                            scheme: Any) -> None:
    with browser.page(page[1], viewport={"width": width, "height": 900}, color_scheme=scheme) as tab:
        tab.select_option("figure[data-image='a/again.png'] select", "relabel")
        assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert tab.locator("section:visible").count() == 5
    assert browser.errors == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [page[1].as_uri()]


def test_without_a_script_the_findings_are_complete(browser: Browser, page: tuple[Dataset, Path]) -> None:
    with browser.page(page[1], java_script_enabled=False) as tab:
        assert tab.locator("section:visible").count() == 5
        assert tab.locator("select:visible, button:visible").count() == 0
        assert "a/again.png" in tab.inner_text("#duplicate")


def test_decisions_are_exported_and_clean_the_data(browser: Browser, page: tuple[Dataset, Path],
                                                   tmp_path: Path) -> None:
    with browser.page(page[1], accept_downloads=True) as tab:
        save = tab.locator("#export")
        assert save.is_disabled()
        tab.click("#duplicate button.propose")
        tab.click("#unreadable button.propose")
        figure = tab.locator("#conflict figure").filter(has_text="=1+1")
        figure.locator("select").select_option("relabel")
        assert save.is_disabled()
        assert tab.inner_text("#decided") == "1 image needs the name of a class."
        figure.locator("input").fill("a")
        tab.locator("#dark select").select_option("keep")
        assert tab.inner_text("#decided") == "4 images decided."
        with tab.expect_download() as download:
            save.click()
        download.value.save_as(tmp_path / "decisions.csv")
    with (tmp_path / "decisions.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["image"]: (row["decision"], row["label"]) for row in csv.DictReader(file)}
    assert rows == {"a/again.png": ("drop", ""), "a/cut.jpg": ("drop", ""), ODD: ("relabel", "a"),
                    "b/night.png": ("keep", "")}
    cleaned = by_name(exclude(page[0], str(tmp_path / "decisions.csv")))
    assert "a/again.png" not in cleaned
    assert cleaned[ODD] == ("a", "train")
    assert browser.errors == []


def test_proposals_leave_what_a_person_decided(browser: Browser, page: tuple[Dataset, Path]) -> None:
    with browser.page(page[1]) as tab:
        tab.locator("#duplicate select").nth(1).select_option("keep")
        tab.click("#duplicate button.propose")
        assert tab.locator("#duplicate select").nth(1).input_value() == "keep"


def test_a_second_page_begins_with_the_earlier_decisions(browser: Browser, page: tuple[Dataset, Path],
                                                         tmp_path: Path) -> None:
    first = tmp_path / "first.csv"
    first.write_text("image,decision,label\na/again.png,drop,\nb/night.png,keep,\na/00.png,relabel,b\n",
                     encoding="utf-8")
    found = inspect(exclude(page[0], str(first)), needs=("files", "pixels", "pairs"))
    again = write_page(exclude(page[0], str(first)), found, tmp_path / "again.html", decided(str(first)))
    with browser.page(again, accept_downloads=True) as tab:
        assert tab.inner_text("#decided") == "3 images decided."
        assert tab.locator("#dark select").input_value() == "keep"
        tab.locator("#blank select").select_option("drop")
        with tab.expect_download() as download:
            tab.click("#export")
        download.value.save_as(tmp_path / "second.csv")
    assert [(each.image, each.decision, each.label) for each in decided(str(tmp_path / "second.csv"))] == [
        ("a/again.png", "drop", ""), ("b/night.png", "keep", ""), ("a/00.png", "relabel", "b"),
        ("b/even.png", "drop", "")]
    assert browser.errors == []


def test_findings_are_sorted_and_filtered(browser: Browser, page: tuple[Dataset, Path]) -> None:
    with browser.page(page[1]) as tab:
        first = tab.inner_text("#duplicate tbody tr:first-child figcaption")
        tab.click("#duplicate th:nth-child(1) button")
        tab.click("#duplicate th:nth-child(1) button")
        assert tab.get_attribute("#duplicate th:nth-child(1)", "aria-sort") == "descending"
        assert tab.inner_text("#duplicate tbody tr:last-child figcaption") == first
        tab.select_option("#kind-filter", "dark")
        assert tab.locator("section:visible").count() == 1
    assert browser.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(browser: Browser, page: tuple[Dataset, Path], scheme: Any) -> None:
    import axe_playwright_python.sync_playwright as axe

    with browser.page(page[1], color_scheme=scheme, bypass_csp=True) as tab:
        tab.select_option("figure[data-image='a/again.png'] select", "relabel")
        found = axe.Axe().run(tab)
        assert [(each["id"], each["nodes"][0]["html"][:120]) for each in found.response["violations"]] == []
