"""Commands that show recipes, data sets and the machine, and the demonstration."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from tenfold.cli.command import DATA, AsJson, Data, Runs, Set, app, command, data_app, print_json, watching
from tenfold.counted import counted
from tenfold.errors import UsageError


@command(app, short="List the shipped recipes, or show one.")
def recipes(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Recipe to show; without it, list all.")] = None,
    data: Data = None,
    set_: Set = None,
    as_json: AsJson = False,
) -> None:
    """List the shipped recipes, or show one (with --data: its network, parameters and FLOPs)."""
    from tenfold import terminal
    from tenfold.recipe import header, read, shipped, text

    if name is None:
        if data is not None or set_:
            raise UsageError("--data and --set need a recipe; name one, as in `tenfold recipes cnn2 --data digits`")
        facts = {name: header(content) for name, content in shipped().items()}
        if as_json:
            print_json(facts)
        else:
            terminal.print_recipes(facts)
        return
    recipe = text.load(name, set_ or ())
    if data is None:
        if as_json:
            print_json(recipe.to_dict())
        else:
            print(recipe.dumps() if set_ else read(name)[1], end="")
        return
    from tenfold.overview import network

    with watching() as watcher:
        shape, classes, summary, layers = network(recipe, data, watcher)
    if as_json:
        print_json({"parameters": summary.parameters, "flops_per_image": summary.flops,
                          "shape": shape, "classes": classes})
    else:
        print(layers)
        print(f"parameters  {summary.parameters:,}\nFLOPs       {summary.flops:,} for one image "
              f"({shape[0]}×{shape[1]}×{shape[2]})")


@command(data_app, "list", short="List the data sets and their locations.")
def data_list(as_json: AsJson = False) -> None:
    """List the known data sets and their locations on this machine."""
    from tenfold import terminal
    from tenfold.data import catalogue, data_root

    found = catalogue()
    if as_json:
        print_json({"root": str(data_root()), "data_sets": found})
    else:
        terminal.print_catalogue(found, data_root())


@command(data_app, "show", short="Show counts and pixel statistics; draw examples.")
def data_show(
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA)],
    set_: Set = None,
    png: Annotated[Path | None, typer.Option("--png", metavar="FILE", help="Also write a grid of examples.")] = None,
    per_class: Annotated[int, typer.Option(min=1, max=100, help="Examples per class in the grid.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed for choosing the examples.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show counts per class and split and pixel statistics; with --png, write a grid of examples."""
    from tenfold import overview, terminal
    from tenfold.recipe import text

    recipe = text.recipe({"data": {"source": data}}, set_ or (), name=data)
    with watching() as watcher:
        dataset, summary = overview.show_data(recipe, watcher, prepared=bool(set_))
    if png:
        overview.write_class_grid(dataset, png, per_class, seed)
    if as_json:
        print_json({**summary, **({"png": str(png)} if png else {})})
    else:
        terminal.print_dataset(dataset, summary, png)


@command(data_app, "check", short="Look for damaged, doubled, leaked or mislabelled images.")
def data_check(
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA)],
    set_: Set = None,
    run: Annotated[Path | None, typer.Option("--run", metavar="RUN", help="A run on this data set: use its splits, "
                                             "features and probabilities.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page with the images of each "
                                              "finding, to decide on them.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if anything is found.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look for damaged files, duplicates, leaks between splits, odd images, shortcuts and suspected label errors.

    Nothing is deleted or moved: --html writes a page that exports decisions for data.exclude.
    """
    from tenfold import jobs, terminal
    from tenfold.data.exclusion import decided
    from tenfold.inspection.page import write_page
    from tenfold.recipe import text
    from tenfold.storage.paths import check_file_name

    if run is not None and set_:
        raise UsageError("received --run and --set; expected one of them: a run brings its own recipe")
    recipe = text.recipe(jobs.check_sections(), set_ or (), name="check")
    if html is not None:
        check_file_name("html", html, ".html", ".htm")
    with watching() as watcher:
        dataset, found = jobs.check(data, recipe, run=run, watcher=watcher)
    if as_json:
        print_json({**found.to_dict(), **({"html": str(html)} if html else {})})
    else:
        terminal.print_inspection(found)
    if html:
        page = write_page(dataset, found, html, decided(recipe.data.exclude))  # last: it may fail
        if not as_json:
            print(f"page  {page}")
    elif found.findings and not as_json:
        again = [word for each in set_ or () for word in ("--set", each)]
        print(f"look at the images and decide: {shlex.join(['tenfold', 'data', 'check', data, *again])} "
              "--html check.html")
    if strict and found.findings:
        raise typer.Exit(1)


@command(data_app, "explore", short="Show all images on one page: a map, examples, findings.")
def data_explore(
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA)],
    set_: Set = None,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page.")] = Path("explore.html"),
    plots: Annotated[Path | None, typer.Option("--plots", metavar="DIR", help="Also write the plots as PNG.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write one page with all images: a map, counts, examples, mean images, sizes, colours, and findings in place.

    The page works offline. On the map, similar images lie close together; choose images there and save them as CSV.
    """
    from tenfold import jobs, terminal
    from tenfold.recipe import text

    recipe = text.recipe(jobs.check_sections(), set_ or (), name="explore")
    with watching() as watcher:
        found = jobs.explore(data, recipe, out=out, plots=plots, watcher=watcher)
    if as_json:
        print_json(found.to_dict())
    else:
        terminal.print_explored(found)
    if show:
        import webbrowser

        webbrowser.open(out.resolve().as_uri())


@command(data_app, "fetch", short="Download a public data set.")
def data_fetch(data: Annotated[str, typer.Argument(metavar="DATA", help=DATA)], as_json: AsJson = False) -> None:
    """Download a public data set into TENFOLD_DATA, unless it is already there."""
    from tenfold.data import open_dataset
    from tenfold.data.splits import summary

    with watching() as watcher:
        dataset = open_dataset(data, fetch=True, watcher=watcher)
    if as_json:
        print_json(summary(dataset))
        return
    for name, split in dataset.splits().items():
        print(f"{name}: {counted(len(split), 'image')} ({split.describe()})")


@command(data_app, "cache", short="List or clear decoded images and features.")
def data_cache(
    names: Annotated[list[str] | None, typer.Argument(
        metavar="[NAME]...", help="Names of data sets, or keys; without them, everything.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove what is listed, also unfinished files.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the caches of decoded images, features and findings.

    --clear removes them, except those that a process is writing. They are made again when they are needed.
    """
    from tenfold import terminal
    from tenfold.data import caches

    found = caches.chosen(caches.entries(), names or ())
    removed, kept = caches.remove(found) if clear else ([], found)
    if as_json:
        shown = {"entries": [entry.facts() for entry in kept], "removed": [entry.facts() for entry in removed]}
        print_json({"directories": {kind: str(root) for kind, root in caches.roots().items()}, **shown})
    else:
        terminal.print_caches(removed, kept, clear)


@command(app, short="Train three small models, offline, and compare them.")
def demo(runs: Runs = Path("runs"), as_json: AsJson = False) -> None:
    """Train three small models on handwritten digits, offline, and compare them."""
    from tenfold import terminal
    from tenfold.demo import demo as run_demo

    with watching() as watcher:
        result = run_demo(runs, watcher)
    if as_json:
        print_json({"path": str(result.path), **result.board.to_dict()})
        return
    terminal.print_leaderboard(result.board)
    print(f"\ncomparison  {result.page}")
    for row in result.board:
        print(f"report      {result.path / row.runs[0] / 'report.html'}")


@command(app, short="Show the machine, engine settings, versions and data.")
def doctor(as_json: AsJson = False) -> None:
    """Show the machine, the engine's settings and the reasons, versions, data sets and missing extras."""
    from tenfold import terminal
    from tenfold.environment import diagnose

    findings = diagnose()
    if as_json:
        print_json(findings)
    else:
        terminal.print_findings(findings)
