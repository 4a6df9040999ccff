"""Reliability diagram: compares accuracy with confidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from tenfold.decisions.temperature import at_temperature
from tenfold.evaluation.metrics import BINS, confidence_bins, metric
from tenfold.evaluation.statistics import wilson
from tenfold.report.plots.plot import RANKING, Material, plot
from tenfold.report.plots.ranking import SIZE
from tenfold.report.plots.style import BLUE, GREY, INK, VERMILLION


@dataclass(frozen=True)
class Reliability:
    """For each bin of confidence with images: mean confidence, accuracy, its Wilson interval, number of images."""

    confidence: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: np.ndarray


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> Reliability:
    """labels: int64 [n]; probabilities: float [n, k]. Uses the 15 bins of the expected calibration error."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    bins = confidence_bins(confidence)
    count = np.bincount(bins, minlength=BINS)
    held = count > 0
    count, right = count[held], np.bincount(bins[correct], minlength=BINS)[held]
    low, high = np.array([wilson(*each) for each in zip(right.tolist(), count.tolist(), strict=True)]).reshape(-1, 2).T
    return Reliability(np.bincount(bins, confidence, minlength=BINS)[held] / count, right / count, low, high, count)


def draw_reliability(data: Reliability, title: str, calibrated: Reliability | None = None) -> Figure:
    """Accuracy over confidence with intervals, and the images in each bin; calibrated: after temperature scaling."""
    figure = Figure(figsize=SIZE, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.set(title=title, ylabel="accuracy (%)", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    above.plot([0, 1], [0, 1], linestyle=":", color=GREY, label="ideal")
    for each, name, colour, marker, line in ((data, "model", BLUE, "o", "-"),
                                             (calibrated, "after calibration", VERMILLION, "s", "--")):
        if each is not None and len(each.count):
            errors = np.maximum(np.stack([each.accuracy - each.low, each.high - each.accuracy]), 0)
            above.errorbar(each.confidence, each.accuracy, errors, color=colour, marker=marker, linestyle=line,
                           elinewidth=1, capsize=2, label=name)
    if not len(data.count):
        above.text(0.5, 0.5, "no images", ha="center", va="center", color=INK)
    below.bar(data.confidence, data.count, width=0.8 / BINS, color=BLUE)
    below.set(xlabel="confidence: probability of the predicted class (%)", ylabel="images")
    for axis in (above.xaxis, above.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
    figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


@plot("reliability", "Reliability diagram",
      "Accuracy in each of 15 bins of confidence, with 95 % Wilson intervals. Below the dotted line the model is too "
      "confident. The bars count the images.", section=RANKING)
def reliability_diagram(material: Material) -> Figure | None:
    """Accuracy by confidence on test, otherwise on validation; also after calibration if a temperature was fitted."""
    for split, predicted in (("test", material.test), ("validation", material.validation)):
        if predicted is not None and len(predicted[1]) and np.isfinite(predicted[2]).all():
            _, labels, p = predicted
            temperature = material.calibration.get("temperature")
            calibrated = reliability(labels, at_temperature(p, temperature)) if temperature else None
            error = metric("ece").text({"value": metric("ece")(labels, p)})
            title = f"Reliability, {split} split\ncalibration error {error}"
            return draw_reliability(reliability(labels, p), title, calibrated)
    return None
