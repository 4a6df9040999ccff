"""The pages are accessible: axe-core, which comes with a package of Python, finds nothing."""

from __future__ import annotations

import pytest
from made_runs import DIGITS, digits, material, run_of

from tenfold.comparison import compare, write_html
from tenfold.report import report
from tenfold.report.bench import page

SPEED = {"images_per_second": 900.0, "low": 800.0, "high": 950.0, "p50": 1.1, "p95": 1.5, "p99": 2.5}
MEASURED = [{"runtime": name, "start_up": start_up, "memory": None if start_up is None else 150.0, "size": 7_000_000,
             "agreement": {"same": 1.0, "largest": 1e-6, "accuracy": 0.0, "low": -0.7, "high": 0.7},
             "speeds": [{"batch": batch, **SPEED} for batch in (1, 8, 512)]}
            for name, start_up in (("fast", 2.5), ("keras", None), ("onnx int8", 0.5))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report", "comparison", "bench"])
def test_axe_finds_no_fault(tmp_path, browser, name, scheme):
    import axe_playwright_python.sync_playwright as axe

    made = material(*digits(100), DIGITS, skill=2)
    runs = [run_of(tmp_path, made, f"{model}-digits", seed=i) for i, model in enumerate(("cnn", "mlp"))]
    if name == "bench":
        path = tmp_path / "bench.html"
        path.write_text(page("cnn-digits-1", "a processor", MEASURED), encoding="utf-8")
    else:
        path = report(runs[0], made) if name == "report" else write_html(compare(runs), tmp_path / "comparison.html")
    with browser.page(path, color_scheme=scheme, bypass_csp=True) as tab:
        found = axe.Axe().run(tab)
        assert [(each["id"], each["nodes"][0]["html"][:120]) for each in found.response["violations"]] == []
