"""docs/performance.md from `benchmarks/results/`: every figure with its target, machine and command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, read
from benchmarks.throughput import BATCH
from benchmarks.time_to_accuracy import PEER

Result = dict[str, Any]
Results = dict[str, Result | None]
MODULES = {
    "throughput-A": "throughput --network A", "throughput-B": "throughput --network B",
    "speed": "time_to_accuracy speed", "recipes": "time_to_accuracy recipes", "startup": "startup", "memory": "memory",
    "large-split": "large_split",
    "own-images-small": "own_images --only small", "own-images-photos": "own_images --only photos",
    "own-images-verdict": "own_images --only verdict", "own-images-bursts": "own_images --only bursts",
    "features": "transfer features",
}
COMMANDS = [f"python -m benchmarks.{module} --json benchmarks/results/{name}.json" for name, module in MODULES.items()]
ROUNDS = 3  # a target is met only with at least as many
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Figure:
    """One row of the table of targets: the figure, its target, and how to read it from a result.

    `value` returns (the text of the cell, whether the target is met). It raises KeyError or TypeError if the figure
    was not measured.
    """

    what: str
    target: str
    value: Callable[[Results], tuple[str, bool]]

    def row(self, results: Results) -> str:
        try:
            said, met = self.value(results)
        except (KeyError, TypeError):
            return f"| {self.what} | {self.target} | {NOT_MEASURED} | |"
        return f"| {self.what} | {self.target} | {said} | {'yes' if met else 'no'} |"


def _throughput(network: str, peer: str, least: float) -> Callable[[Results], tuple[str, bool]]:
    def value(results: Results) -> tuple[str, bool]:
        result: Any = results[f"throughput-{network}"]
        if result["batch"] != BATCH[network]:
            raise KeyError("the batch of the target")
        of = result[peer]["tenfold_ratio"]
        return span(of), of["median"] >= least and of["n"] >= ROUNDS

    return value


def _data_share(results: Results) -> tuple[str, bool]:
    shares = [results[f"throughput-{n}"]["tenfold"]["data_share"] for n in "AB"]  # type: ignore[index]
    said = ", ".join(f"{n}: {100 * share['median']:.1f} %" for n, share in zip("AB", shares, strict=True))
    return said, all(share["median"] <= 0.05 for share in shares)


def _speed(results: Results) -> Result:
    result: Any = results["speed"]
    if result["recipe"] != "speed":
        raise KeyError("the recipe of the target")
    return result


def _speed_ratio(results: Results) -> tuple[str, bool]:
    of = _speed(results)["ratio"]
    return span(of), of["median"] <= 0.5 and of["n"] >= ROUNDS


def _speed_accuracy(results: Results) -> tuple[str, bool]:
    of = _speed(results)["tenfold"]
    said = f"{accuracy(of['accuracy'])}; from a single view {accuracy(of['single_view_accuracy'])}"
    return said, of["accuracy"]["mean"] >= 0.94 and of["accuracy"]["n"] >= 5


def _recipes(results: Results) -> tuple[str, bool]:
    entries = results["recipes"]["recipes"]  # type: ignore[index]
    ratios = {name: of for name, entry in entries.items() if (of := longest(entry).get("ratio"))}
    if not ratios:
        raise KeyError("ratio")
    within = [name for name, of in ratios.items() if of["median"] <= 0.4 and of["n"] >= ROUNDS]
    compared = {name: entry["full"] for name, entry in entries.items() if "ratio" in entry.get("full", {})}
    lower = [f"`{name}`" for name, of in compared.items()
             if of["tenfold"]["accuracy"]["mean"] < of[PEER]["accuracy"]["mean"]]
    medians = [of["median"] for of in ratios.values()]
    said = (f"{min(medians):.2f} to {max(medians):.2f}, target met by {len(within)} of {len(entries)}; "
            f"accuracy compared for {len(compared)}, lower for {', '.join(lower) or 'none'}")
    return said, len(entries) >= 10 and len(within) == len(compared) == len(entries) and not lower


def longest(entry: Result) -> Result:
    """A recipe's full measurement or that of a few epochs: the one with more rounds, at a tie the full one."""
    rounds = {kind: of.get("ratio", {"n": 0})["n"] for kind, of in entry.items()}
    of: Result = entry[max(sorted(rounds), key=rounds.__getitem__)]  # "full" comes before "timed"
    return of


def _startup(command: str, most: float) -> Callable[[Results], tuple[str, bool]]:
    def value(results: Results) -> tuple[str, bool]:
        of = results["startup"]["seconds"][command]  # type: ignore[index]
        return f"{span(of)} s", of["median"] < most

    return value


def _memory(results: Results) -> tuple[str, bool]:
    result: Any = results["memory"]
    of = {name: entry["peak_memory_mib"] / 1024
          for name, entry in result["recipes"].items() if "peak_memory_mib" in entry}
    if not of or (result["data"], result["batch"]) != ("cifar10", 500):
        raise KeyError("the peak of the target")
    return ", ".join(f"`{name}` {peak:.2f} GiB" for name, peak in of.items()), max(of.values()) <= 2


def _large_split(results: Results) -> tuple[str, bool]:
    result: Any = results["large-split"]
    if result["gib"] < 10 * result["limit_gib"]:
        raise KeyError("the sizes of the target")
    of, peak = result["ratio"], result["mapped"]["anonymous_mib"] / 1024
    met = of["median"] >= 0.9 and of["n"] >= ROUNDS and peak <= result["limit_gib"]
    return f"{span(of)}; {peak:.2f} GiB held at most", met


def _small_images(results: Results) -> tuple[str, bool]:
    result: Any = results["own-images-small"]["small"]  # type: ignore[index]
    if result["images"] != 60_000:
        raise KeyError("the images of the target")
    of = result["Tenfold"]["seconds"]
    return f"{span(of)} s", of["median"] <= 10 and of["n"] >= ROUNDS


def _photos(peer: str, least: float) -> Callable[[Results], tuple[str, bool]]:
    def value(results: Results) -> tuple[str, bool]:
        of = results["own-images-photos"]["photos"][peer]["tenfold_is_faster"]  # type: ignore[index]
        return span(of), of["median"] >= least and of["n"] >= ROUNDS

    return value


def _first_verdict(results: Results) -> tuple[str, bool]:
    found = {of["photos"]: of["seconds"] for of in results["own-images-verdict"]["verdict"]}  # type: ignore[index]
    said = "; ".join(f"{photos:,}: {span(of)} s" for photos, of in found.items())
    return said, found[200]["median"] <= 10 and found[2000]["median"] <= 40


def _bursts(results: Results) -> tuple[str, bool]:
    of = results["own-images-bursts"]["bursts"]  # type: ignore[index]
    with_rule, without = (f"{of[group]['validation_minus_unseen_points']:+.1f} ± {of[group]['standard_error']:.1f}"
                          for group in ("bursts", "none"))
    return (f"{with_rule} points (without the rule {without}; {of['bursts']['splits']} splits)",
            of["bursts"]["validation_minus_unseen_points"] <= 1)


def _features(results: Results) -> tuple[str, bool]:
    of = results["features"]["features"]  # type: ignore[index]
    rates = [rate for rate, _ in of["tenfold"]["all"]], [rate for rate, _ in of["tensorflow"]["all"]]
    said = ", ".join(f"{a / b:.2f}" for a, b in zip(*rates, strict=True))
    return f"{of['ratio']:.2f} (rounds: {said})", of["ratio"] >= 2 and len(rates[0]) >= ROUNDS


def _cuda(results: Results) -> tuple[str, bool]:
    result: Any = results["cuda"]
    of, reached, machine = result["tenfold"]["seconds"], result["tenfold"]["accuracy"], result["machine"]
    if machine["device"] == "cpu" or result["recipe"] != "speed":
        raise KeyError("`speed` on a CUDA device")
    met = of["median"] <= 2.59 and of["n"] >= ROUNDS and reached["mean"] >= 0.94
    return f"{span(of)} s on {machine['gpu']}, {accuracy(reached)}", met


FIGURES = (
    Figure("network A, batch 500: images per second ÷ those of plain PyTorch in bfloat16", "≥ 1.0",
           _throughput("A", "pytorch-bfloat16", 1.0)),
    Figure("network B, batch 128: images per second ÷ those of Keras' `fit` on TensorFlow, float32", "≥ 3.5",
           _throughput("B", "keras-tensorflow-float32", 3.5)),
    Figure("network B, batch 128: images per second ÷ those of Keras' `fit` on TensorFlow, mixed_bfloat16",
           "≥ 1.4", _throughput("B", "keras-tensorflow-mixed_bfloat16", 1.4)),
    Figure("fraction of a step spent on data (gathering, mirror, translation)", "≤ 5 %", _data_share),
    Figure("`speed`: seconds to the final weights ÷ seconds of plain PyTorch for 400,000 images with network A",
           "≤ 0.5", _speed_ratio),
    Figure("`speed`: accuracy on the 1,000 exact test images, mean of 5 seeds", "≥ 94.0 %", _speed_accuracy),
    Figure("the ten recipes: seconds ÷ seconds of Keras' `fit` on TensorFlow, float32; accuracy not lower",
           "≤ 0.4 each", _recipes),
    Figure("`tenfold --help`, the whole process", "< 0.3 s", _startup("tenfold --help", 0.3)),
    Figure("`import tenfold`, the whole process", "< 0.5 s", _startup("import tenfold", 0.5)),
    Figure("`tenfold train mlp --data digits` with one epoch, the whole process", "≤ 4 s",
           _startup("tenfold train mlp --data digits", 4)),
    Figure("the same on MNIST, with 10,000 test images", "≤ 7 s", _startup("tenfold train mlp --data mnist", 7)),
    Figure("peak memory of `tenfold train` on CIFAR-10, batch 500", "≤ 2 GiB", _memory),
    Figure("images/s on a mapped split ten times as large as the memory ÷ on one in memory", "≥ 0.9", _large_split),
    Figure("60,000 JPEGs of 32×32 pixels into an empty cache", "≤ 10 s", _small_images),
    Figure("photos of 640×480 to 96 pixels: images per second ÷ those of Pillow at full size", "≥ 2.5",
           _photos("Pillow", 2.5)),
    Figure("the same ÷ those of `keras.utils.image_dataset_from_directory`", "≥ 3",
           _photos("Keras on TensorFlow", 3)),
    Figure("`tenfold try` on photos in four classes, the whole process", "200: ≤ 10 s; 2,000: ≤ 40 s", _first_verdict),
    Figure("planted bursts: accuracy on validation minus that on unseen scenes", "≤ 1 point", _bursts),
    Figure("features of EfficientNetLite0: images per second ÷ those of Keras' `predict` on TensorFlow", "≥ 2",
           _features),
    Figure("`speed` on a CUDA GPU: seconds to the final weights, at 94.0 % or more (published for an A100, after "
           "warm-up, with evaluation: 2.59 s and 1.99 s)", "≤ 2.59 s", _cuda),
)


def span(of: dict[str, float]) -> str:
    """`0.41 (0.40 to 0.43, n = 3)`."""
    return f"{of['median']:.2f} ({of['low']:.2f} to {of['high']:.2f}, n = {of['n']})"


def accuracy(of: dict[str, Any]) -> str:
    """`94.1 % ± 0.3 (n = 5)`."""
    deviation = "" if of["sd"] is None else f" ± {100 * of['sd']:.1f}"
    return f"{100 * of['mean']:.1f} %{deviation} (n = {of['n']})"


def page(results: Path = RESULTS) -> str:
    """The page; a figure without a result is "not measured"."""
    found: Results = {name: read(name, results) for name in (*MODULES, "cuda")}
    lines = [
        "# Performance", "",
        "`make docs` generates this page from `benchmarks/results/*.json`. Every ratio was measured on one machine,",
        "with the programs running in turn, round by round. Cells show the median (lowest to highest, number of",
        "rounds). Absolute figures differ between machines; ratios differ with the processor's instruction sets.", "",
        "| figure | target | measured | met |", "|---|---|---|---|", *(figure.row(found) for figure in FIGURES), "",
    ]
    for network in "AB":
        lines += _throughput_section(network, found[f"throughput-{network}"])
    lines += _recipes_section(found["recipes"])
    for name, title in (("speed", "The `speed` recipe"), ("startup", "Start-up"), ("memory", "Memory"),
                        ("large-split", "A split larger than memory"), ("own-images-small", "Small images of your own"),
                        ("own-images-photos", "Photos of your own"), ("own-images-verdict", "A first verdict"),
                        ("own-images-bursts", "Bursts"), ("features", "Features of a backbone"), ("cuda", "CUDA")):
        lines += [f"## {title}", "", *_peak(found[name]), *_origin(found[name])]
    lines += [
        "## Measuring it again", "",
        "```sh",
        "python -m benchmarks.environments   # install the peers, once; the report names missing ones as absent",
        *COMMANDS,
        "python -m benchmarks.time_to_accuracy speed --json benchmarks/results/cuda.json   # on a machine with a GPU",
        "tenfold study benchmarks/precision.toml   # the effect of bfloat16 on accuracy: docs/lab-notes.md",
        "make docs",
        "```", "",
        "`make performance` runs all of these except the GPU and the study.", "",
    ]
    return "\n".join(lines)


def _throughput_section(network: str, result: Result | None) -> Iterator[str]:
    what = {"A": "airbench94's shape, batch 500, SGD", "B": "a textbook ConvNet, batch 128, Adam"}[network]
    yield from (f"## Training network {network}: {what}", "")
    if result is not None:
        yield from ("| program | images/s | Tenfold ÷ this | peak memory |", "|---|---|---|---|")
        for name, of in result.items():
            if isinstance(of, dict) and "images_per_second" in of:
                ours = span(of["tenfold_ratio"]) if "tenfold_ratio" in of else ""
                peak = of["peak_memory_mib"] / 1024
                yield f"| {name} | {of['images_per_second']:,.0f} | {ours} | {peak:.2f} GiB |"
            elif isinstance(of, dict) and "absent" in of:
                yield f"| {name} | absent: {of['absent']} | | |"
        yield ""
    yield from _origin(result)


def _recipes_section(result: Result | None) -> Iterator[str]:
    yield from ("## Recipes against Keras on TensorFlow", "")
    if result is not None:
        yield from ("| recipe | epochs (trained) | Tenfold | Keras | ratio | accuracy: Tenfold | Keras |",
                    "|---|---|---|---|---|---|---|")
        for name, entry in result["recipes"].items():
            of, full = longest(entry), entry.get("full", {})
            if "absent" in of:
                yield f"| `{name}` | absent: {of['absent']} | | | | | |"
                continue
            seconds = " | ".join(f"{of[side]['seconds']['median']:.0f} s" for side in ("tenfold", PEER))
            reached = " | ".join(accuracy(full[side]["accuracy"]) if side in full else NOT_MEASURED
                                 for side in ("tenfold", PEER))
            yield (f"| `{name}` | {of['epochs']['median']:.0f} ({of['epochs_timed']['median']:.0f}) | {seconds} | "
                   f"{span(of['ratio'])} | {reached} |")
        yield from ("", "If fewer epochs were trained than the recipe has, each missing epoch counts as the median "
                    "of the epochs after the first.", "")
        parts = [part for entry in result["recipes"].values() for part in entry.values()]
        commands = dict.fromkeys(part["command"] for part in parts)
        result = {**result, "command": "`, `".join(commands)}
    yield from _origin(result)


def _peak(result: Result | None) -> Iterator[str]:
    """Peak memory of `speed` at its own batch size, if it was measured."""
    peak = (result or {}).get("tenfold", {}).get("peak_memory_mib")
    if peak is not None:
        yield from (f"Peak memory with the recipe's own batch size: {peak / 1024:.2f} GiB.", "")


def _origin(result: Result | None) -> Iterator[str]:
    if result is None:
        yield from (f"{NOT_MEASURED.capitalize()}.", "")
        return
    machine, versions = result["machine"], result["versions"]
    named = {"keras": versions["keras"], "torch": versions["torch"]}
    for of in [*result.values(), *(part for entry in result.get("recipes", {}).values() for part in entry.values())]:
        named |= of.get("versions", {}) if isinstance(of, dict) else {}
    yield (f"{machine['cores']} cores of {machine['processor']} ({', '.join(machine['units'])}), "
           f"{machine['precision']}; {', '.join(f'{k} {v}' for k, v in sorted(named.items()))}; {result['date']}; "
           f"`{result['command']}`")
    yield ""
