"""The pages are accessible: axe-core, which comes with a package of Python, finds nothing."""

from __future__ import annotations

import pytest
from made_runs import DIGITS, digits, material, run_of

from tenfold.comparison import compare, write_html
from tenfold.report import report


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report", "comparison"])
def test_axe_finds_no_fault(tmp_path, browser, name, scheme):
    import axe_playwright_python.sync_playwright as axe

    made = material(*digits(100), DIGITS, skill=2)
    runs = [run_of(tmp_path, made, f"{model}-digits", seed=i) for i, model in enumerate(("cnn", "mlp"))]
    path = report(runs[0], made) if name == "report" else write_html(compare(runs), tmp_path / "comparison.html")
    with browser.page(path, color_scheme=scheme, bypass_csp=True) as tab:
        found = axe.Axe().run(tab)
        assert [(each["id"], each["nodes"][0]["html"][:120]) for each in found.response["violations"]] == []
