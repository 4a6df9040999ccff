"""Accuracy against the fraction of images that are answered, and images that are not."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from tenfold.decisions.temperature import at_temperature
from tenfold.evaluation.misclassified import Guess
from tenfold.report.plots.grid import Cell, draw_cells
from tenfold.report.plots.plot import DECISIONS, IMAGES, Material, plot
from tenfold.report.plots.ranking import SIZE
from tenfold.report.plots.samples import guess_cell
from tenfold.report.plots.style import BLUE, GREY, VERMILLION


@plot("answered", "Accuracy of the answers",
      "If the model answers only the images of which it is surest, its answers are more accurate. The band is the 95 % "
      "Wilson interval of each accuracy. The orange square is what the fitted rule accepts, on the test split; there "
      "is none if the rule accepts nothing.",
      section=DECISIONS)
def answered(material: Material) -> Figure | None:
    """The accuracy–coverage curve of the test split; None without decision rules or without a test split."""
    tested = material.decisions.get("tested")
    if not tested:
        return None
    curve, rule = tested["curve"], material.decisions["accepted"]
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    area = f"mean error over all fractions: {100 * tested['area']['value']:.2f} %"
    axes.set(title=f"Accuracy of the answers, test split\n{area}", xlabel="images answered, surest first (%)",
             ylabel="accuracy of the answers (%)", xlim=(-0.02, 1.02))
    axes.fill_between(curve["fraction"], curve["low"], curve["high"], color=BLUE, alpha=0.15, linewidth=0)
    axes.plot(curve["fraction"], curve["accuracy"], color=BLUE, label="answers")
    axes.axhline(rule["accuracy"], color=GREY, linestyle=":", label=f"asked for: {100 * rule['accuracy']:g} %")
    if tested["accepted_accuracy"]:
        x, y = tested["accepted"], tested["accepted_accuracy"]
        axes.errorbar([x["value"]], [y["value"]], [[y["value"] - y["low"]], [y["high"] - y["value"]]],
                      [[x["value"] - x["low"]], [x["high"] - x["value"]]], color=VERMILLION, marker="s", capsize=2,
                      label="accepted")
    floor = min(curve["accuracy"][-1], *curve["low"][len(curve["low"]) // 10:], rule["accuracy"])
    floor = max(0.0, floor - 0.02)
    axes.set_ylim(floor, 1 + 0.04 * (1 - floor))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=""))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def refused_cells(material: Material) -> list[Cell]:
    """Test images that the rules call unsure or unknown, with their calibrated predictions; empty without rules."""
    tested = material.decisions.get("tested")
    if not tested or material.test is None:
        return []
    images, labels, p = material.test
    shown = [each for each in tested["examples"] if each["index"] < len(labels)]
    places = [each["index"] for each in shown]
    calibrated = at_temperature(p[places], material.decisions["temperature"])
    cells = []
    for each, place, row in zip(shown, places, calibrated, strict=True):
        guess = Guess(place, int(labels[place]), int(row.argmax()), float(row.max()))
        cell = guess_cell(images[place], guess, material.classes)
        cells.append(Cell(cell.image, (each["decision"], *cell.lines), cell.wrong, cell.strong))
    return cells


@plot("refused", "Images that are not answered",
      "Test images that the decision rules refuse: the least sure ones (unsure), then those least like the classes "
      "(unknown). ✓: the prediction is correct, ✗: wrong. The percentage is its calibrated probability.",
      section=IMAGES)
def refused(material: Material) -> Figure | None:
    """The least sure test images, and those that look least like the classes."""
    cells = refused_cells(material)
    return draw_cells(cells, 6, f"{len(cells)} of the test images that are not answered") if cells else None
