"""The pages in a real browser: nothing is asked for, nothing complains, and what can be clicked works."""

from __future__ import annotations

import numpy as np
import pytest
from made_runs import DIGITS, digits, material, run_of

from tenfold.report import report

HOSTILE = ("<script>alert('x')</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "a & b")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    made = material(*digits(400), DIGITS, skill=2)
    run = run_of(tmp_path_factory.mktemp("runs"), made)
    return run, report(run, made)


def overflows(tab) -> bool:
    return tab.evaluate("document.documentElement.scrollWidth > innerWidth")


def column(tab, table: str, index: int) -> list[str]:
    return tab.eval_on_selector_all(f"{table} tbody tr", f"rows => rows.map(row => row.cells[{index}].textContent)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("script", [True, False])
def test_pages_have_no_errors_requests_or_horizontal_scrolling(tmp_path, browser, width, scheme, script):
    images, labels = digits(60)
    made = material(images, labels % 4, HOSTILE)
    path = report(run_of(tmp_path, made), made)
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme, "java_script_enabled": script}
    with browser.page(path, **options) as tab:
        assert tab.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert not overflows(tab)
        if script:
            tab.click(".matrix td a")
            tab.select_option("#class-filter", "1")
            assert not overflows(tab)
    assert browser.errors == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [path.as_uri()]


@pytest.mark.parametrize("width", [390, 1200])
def test_the_toolbar_covers_no_heading_that_a_link_leads_to(browser, page, width):
    with browser.page(page[1], viewport={"width": width, "height": 900}) as tab:
        for name in tab.eval_on_selector_all("h2[id]", "all => all.map(heading => heading.id)"):
            tab.evaluate("name => { location.hash = name }", name)
            bar = tab.evaluate("document.querySelector('.toolbar').getBoundingClientRect()")
            top = tab.evaluate("name => document.getElementById(name).getBoundingClientRect().top", name)
            assert not bar["top"] <= top < bar["bottom"], name


def test_a_click_on_a_heading_sorts_and_a_second_click_reverses(browser, page):
    with browser.page(page[1]) as tab:
        table = "table.by-class"
        assert column(tab, table, 0) == list(DIGITS)
        tab.click(f"{table} th:nth-child(3) button")
        recalls = [float(text.split()[0]) for text in column(tab, table, 2)]
        assert recalls == sorted(recalls, reverse=True)
        assert tab.get_attribute(f"{table} th:nth-child(3)", "aria-sort") == "descending"
        tab.click(f"{table} th:nth-child(3) button")
        assert [float(text.split()[0]) for text in column(tab, table, 2)] == sorted(recalls)
        tab.click(f"{table} th:nth-child(1) button")
        assert column(tab, table, 0) == sorted(DIGITS)
        assert tab.get_attribute(f"{table} th:nth-child(3)", "aria-sort") is None
    assert browser.errors == []


def test_undefined_values_stay_last_whichever_way_a_column_is_sorted(tmp_path, browser):
    images, labels = digits(80)
    made = material(images, np.where(labels > 7, 0, labels), DIGITS)
    with browser.page(report(run_of(tmp_path, made), made)) as tab:
        for _ in range(2):
            tab.click("table.by-class th:nth-child(3) button")
            assert column(tab, "table.by-class", 2)[-2:] == ["–", "–"]


def test_the_filter_leaves_one_class(browser, page):
    with browser.page(page[1]) as tab:
        everything = tab.locator(".error:visible").count()
        assert everything > 0
        wrong = tab.locator(".error").first.get_attribute("data-classes").split()
        tab.select_option("#class-filter", wrong[0])
        assert tab.locator("table.by-class tbody tr:visible").count() == 1
        for shown in (".error:visible", ".pairs tbody tr:visible"):
            listed = [each.get_attribute("data-classes").split() for each in tab.locator(shown).all()]
            assert listed
            assert all(wrong[0] in each for each in listed)
        assert tab.inner_text("#class-count") == f"Errors shown below: {tab.locator('.error:visible').count()}"
        tab.select_option("#class-filter", "")
        assert tab.locator(".error:visible").count() == everything


def cell_with_errors(run) -> tuple[int, int, int]:
    matrix = np.array(run.metrics()["test"]["confusion_matrix"])
    np.fill_diagonal(matrix, 0)
    i, j = np.unravel_index(matrix.argmax(), matrix.shape)
    return int(i), int(j), int(matrix[i, j])


def test_a_click_on_the_matrix_shows_its_images_and_another_hides_them(browser, page):
    run, path = page
    i, j, count = cell_with_errors(run)
    with browser.page(path) as tab:
        assert tab.locator(".group:visible").count() == 0
        tab.hover(f".matrix a[href='#cell-{i}-{j}']")
        assert f"{DIGITS[i]} predicted as {DIGITS[j]}: {count} image" in tab.inner_text("#matrix-words")
        tab.click(f".matrix a[href='#cell-{i}-{j}']")
        assert tab.locator(".group:visible").count() == 1
        assert tab.locator(f"#cell-{i}-{j} .thumb:visible").count() == min(count, 12)
        first = tab.locator(f"#cell-{i}-{j} .thumb").first
        assert first.bounding_box()["width"] >= 40
        assert "url(" in first.evaluate("thumb => getComputedStyle(thumb).backgroundImage")
        tab.click(".matrix a[href='#cell-0-0']")
        assert tab.locator(".group:visible").get_attribute("id") == "cell-0-0"
        tab.click(".matrix a[href='#cell-0-0']")
        assert tab.locator(".group:visible").count() == 0
        tab.click(".matrix a[href='#cell-0-0']")
        tab.keyboard.press("Escape")
        assert tab.locator(".group:visible").count() == 0
        tab.goto(f"{path.as_uri()}#cell-{i}-{j}")
        tab.reload()
        assert tab.locator(".group:visible").get_attribute("id") == f"cell-{i}-{j}"
        tab.click(".matrix a[href='#cell-0-0']")
        assert tab.locator(".group:visible").get_attribute("id") == "cell-0-0"
    assert browser.errors == []


def test_the_matrix_opens_without_javascript(browser, page):
    run, path = page
    i, j, _ = cell_with_errors(run)
    with browser.page(path, java_script_enabled=False) as tab:
        assert tab.locator(".toolbar:visible").count() == 0
        assert tab.locator(".group:visible").count() == 0
        tab.click(f".matrix a[href='#cell-{i}-{j}']")
        assert tab.locator(f"#cell-{i}-{j}").is_visible()
        tab.click(".group:visible .close")
        assert tab.locator(".group:visible").count() == 0


def test_printing_opens_all_sections(browser, page):
    with browser.page(page[1]) as tab:
        assert not tab.locator("details pre").is_visible()
        tab.emulate_media(media="print")
        assert not tab.locator(".toolbar").is_visible()
        recipe = tab.locator("details pre")  # folded away on a screen
        assert recipe.bounding_box()["height"] > 100
        assert tab.pdf(format="A4").startswith(b"%PDF")
