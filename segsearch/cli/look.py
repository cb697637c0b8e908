"""Verbs that look and change nothing: show, points, space, lint, schema."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from segsearch.cli.arguments import ClassesOption, JsonOption, PointArgument, SizeOption, size_hw

space = typer.Typer(help="Look into a space of networks.", no_args_is_help=True)
SpaceArgument = Annotated[str, typer.Argument(metavar="SPACE", help="A shipped space, such as unified, or a file.")]


def show(
    point: PointArgument,
    size: SizeOption = "1024x2048",
    classes: ClassesOption = 19,
    as_json: JsonOption = False,
    counters: Annotated[bool, typer.Option("--counters", help="Add fvcore's and thop's counts to ours.")] = False,
) -> None:
    """Show one point in all its forms: choices, spec, id, cost per part, and the paper's figures beside ours."""
    from segsearch.describe import describe

    shown = describe(point, size_hw(size), classes)
    counts = _others(shown.network, shown.size_hw) if counters else []
    if as_json:
        extra = {"counters": [c.model_dump(mode="json") for c in counts]} if counters else {}
        print(json.dumps(shown.as_json() | extra, indent=2))
        return
    from rich import print as render

    from segsearch.report import point as report

    render(report.description(shown))
    if counts:
        render(report.others(counts))


def diff(
    left: PointArgument,
    right: PointArgument,
    size: SizeOption = "1024x2048",
    classes: ClassesOption = 19,
    as_json: JsonOption = False,
) -> None:
    """Set two points side by side: the choices in which they differ, and what every part costs."""
    from segsearch.describe import differ

    found = differ(left, right, size_hw(size), classes)
    if as_json:
        print(json.dumps(found.as_json(), indent=2))
        return
    from rich import print as render

    from segsearch.report.diff import difference

    render(difference(found))


def _others(network: object, size: tuple[int, int]) -> list:  # type: ignore[type-arg]  # measure's types load torch
    from segsearch.measure.conventions import others

    return list(others(network, size))  # type: ignore[arg-type]


def points(
    paper: Annotated[str | None, typer.Option("--paper", metavar="NAME", help="Of one paper, such as sgcpnet.")] = None,
    as_json: JsonOption = False,
    table: Annotated[Path | None, typer.Option("--table", metavar="FILE.md", help="Write the table instead.")] = None,
) -> None:
    """List the papers' networks that are points of the space: what the papers print, ours, and where they differ."""
    from segsearch.describe import compare_all

    compared = compare_all(paper)
    if table is not None:
        from segsearch.files import write_atomic
        from segsearch.report.published import markdown

        write_atomic(table, markdown(compared))
        return
    if as_json:
        plain = {
            point.name: point.model_dump(mode="json", exclude_none=True) | {"published": [c.as_json() for c in rows]}
            for point, rows in compared
        }
        print(json.dumps(plain, indent=2))
        return
    from rich import print as render

    from segsearch.report import point as report

    render(report.points(compared))


@space.command("show")
def space_show(name: SpaceArgument = "unified") -> None:
    """Print the tree of choices and how many networks it spans."""
    from segsearch.space.load import load_space
    from segsearch.space.walk import allowed

    tree = load_space(name)
    for dotted, node in tree.nodes():
        searched = getattr(node, "searched", None)
        note = f"   searches propose {', '.join(map(str, searched))}" if searched is not None else ""
        print(f"{'  ' * dotted.count('.')}{dotted}: {allowed(node)}{note}")
    print(f"{tree.name}: {tree.size:,} points, id {tree.id}")


@space.command("size")
def space_size(name: SpaceArgument = "unified") -> None:
    """Print how many distinct points a search may propose."""
    from segsearch.space.load import load_space

    print(load_space(name).size)


@space.command("sample")
def space_sample(
    name: SpaceArgument = "unified",
    count: Annotated[int, typer.Option(min=1, help="How many points.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same points.")] = 0,
) -> None:
    """Draw points uniformly, as JSON lines of choices."""
    import random

    from segsearch.space.load import load_space
    from segsearch.space.walk import sample

    tree, rng = load_space(name), random.Random(seed)
    for _ in range(count):
        print(json.dumps(sample(tree, rng)))


@space.command("check")
def space_check(
    point: PointArgument,
    name: Annotated[str, typer.Option("--space", help="The space it must lie in.")] = "unified",
) -> None:
    """Check a point against a space and print the id of its network."""
    from segsearch.describe import read_point
    from segsearch.space.load import load_space
    from segsearch.space.lower import lower
    from segsearch.space.walk import check

    _, choices = read_point(point)
    print(lower(check(load_space(name), choices, point)).id)


def schema(
    what: Annotated[Literal["spec", "study", "recipe"], typer.Argument(help="What the schema is of.")],
    out: Annotated[Path | None, typer.Option("--out", help="A file to write; printed without.")] = None,
) -> None:
    """Write the JSON schema of a file that people write, so that editors complete and check it."""
    from segsearch.files import write_atomic

    text = json.dumps(_model(what).model_json_schema(), indent=2, sort_keys=True)  # type: ignore[attr-defined]
    print(text) if out is None else write_atomic(out, text + "\n")


def lint(
    file: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="An exported network, ours or anybody's.")],
) -> None:
    """Check an ONNX file for known defects of exported networks; the exit code is 2 where there are any."""
    from segsearch.export.lint import lint_file

    found = lint_file(file)
    for finding in found:
        print(f"{file}:{finding.place}: {finding.problem} ({finding.rule})")
    if found:
        raise typer.Exit(2)
    print(f"{file}: nothing found")


def _model(what: str) -> object:
    if what == "spec":
        from segsearch.spec.network import NetworkSpec

        return NetworkSpec
    if what == "recipe":
        from segsearch.train.recipe import Recipe

        return Recipe
    from segsearch.search.config import StudyConfig

    return StudyConfig
