"""The speed of a model in every runtime."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter

from tenfold.report.plots.plot import Material, plot
from tenfold.report.plots.style import COLOURS

MARKERS = "osD^vP*X"


@plot("runtime_speed", "Speed by batch size",
      "Images per second in batches of so many images: the median of the rounds; bars reach from the slowest to the "
      "fastest round. Both axes are logarithmic.")
def runtime_speed(material: Material) -> Figure | None:
    """Images per second of each runtime over the batch size."""
    if not material.runtimes:
        return None
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots()
    batches = sorted({speed["batch"] for each in material.runtimes for speed in each["speeds"]})
    for number, each in enumerate(material.runtimes):
        speeds = each["speeds"]
        middle, low, high = ([speed[key] for speed in speeds] for key in ("images_per_second", "low", "high"))
        errors = [[m - a for m, a in zip(middle, low, strict=True)], [b - m for m, b in zip(middle, high, strict=True)]]
        axes.errorbar([speed["batch"] for speed in speeds], middle, errors, label=each["runtime"], capsize=3,
                      marker=MARKERS[number % len(MARKERS)], color=COLOURS[number % len(COLOURS)])
    axes.set(xscale="log", yscale="log", xlabel="batch size (images)", ylabel="images per second")
    axes.set_xticks(batches, [f"{batch:,}" for batch in batches])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    thousands = EngFormatter(sep="")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: thousands(value) if value >= 1000 else f"{value:g}"))
    figure.legend(loc="outside right upper")
    return figure
