"""Verbs that look and change nothing: show, points, space, lint, schema."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from segsearch.cli.arguments import ClassesOption, JsonOption, PointArgument, SizeOption, size_hw
from segsearch.cli.outputs import SCHEMA, TABLE, TOPOLOGY, check_output

if TYPE_CHECKING:
    from segsearch.describe import Description
    from segsearch.space.nodes import Space

space = typer.Typer(help="Look into a space of networks.", no_args_is_help=True)
SpaceArgument = Annotated[str, typer.Argument(metavar="SPACE", help="A shipped space, such as unified, or a file.")]


def show(
    point: PointArgument,
    size: SizeOption = "1024x2048",
    classes: ClassesOption = 19,
    as_json: JsonOption = False,
    counters: Annotated[bool, typer.Option("--counters", help="Add fvcore's and thop's counts to ours.")] = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE.svg", help="Draw its stages, paths and fusions there.")
    ] = None,
) -> None:
    """Show one point in all its forms: choices, spec, id, cost per part, and the paper's figures beside ours.

    With --picture, its topology as an SVG: encoder stages by stride (block, channels x blocks, d dilations), context,
    the neck's paths and fusions by level, head.

    Example: segsearch show sfnet_r18 --size 1024x1024

    Example: segsearch show sfnet_r18 --picture sfnet_r18.svg

    Example: segsearch show runs/my_study#12
    """
    from segsearch.describe import describe

    if picture is not None:
        check_output("--picture", picture, TOPOLOGY)
    shown = describe(point, size_hw(size), classes)
    if picture is not None:
        _draw(shown, picture)
    counts = _others(shown.network, shown.size_hw) if counters else []
    if as_json:
        extra = {"counters": [c.model_dump(mode="json") for c in counts]} if counters else {}
        print(json.dumps(shown.as_json() | extra, indent=2))
        return
    from segsearch.report import point as report
    from segsearch.report.console import show as render

    render(report.description(shown), *([report.others(counts)] if counts else []))


def _draw(shown: "Description", picture: Path) -> None:
    from segsearch.report.topology.draw import draw_topology

    draw_topology(shown.spec, picture, title=f"{shown.name}  {shown.spec.id}")


def diff(
    left: PointArgument,
    right: PointArgument,
    size: SizeOption = "1024x2048",
    classes: ClassesOption = 19,
    as_json: JsonOption = False,
) -> None:
    """Set two points side by side: the choices in which they differ, and what every part costs.

    Example: segsearch diff fpenet sgcpnet1
    """
    from segsearch.describe import differ

    found = differ(left, right, size_hw(size), classes)
    if as_json:
        print(json.dumps(found.as_json(), indent=2))
        return
    from segsearch.report.console import show as render
    from segsearch.report.diff import difference

    render(difference(found))


def _others(network: object, size: tuple[int, int]) -> list:  # type: ignore[type-arg]  # measure's types load torch
    from segsearch.count.conventions import others

    return list(others(network, size))  # type: ignore[arg-type]


def points(
    paper: Annotated[str | None, typer.Option("--paper", metavar="NAME", help="Of one paper, such as sgcpnet.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Count all again; exit code 1 where a file states otherwise.")
    ] = False,
    table: Annotated[
        Path | None, typer.Option("--table", metavar="FILE.md", help="Write all published figures beside ours there.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the named points: the papers' networks, and found ones; `segsearch show NAME` tells all of one.

    Example: segsearch points --paper sgcpnet
    """
    if check:
        _recount(paper, as_json)
    elif table is not None:
        from segsearch.files import write_atomic
        from segsearch.published import compare_all
        from segsearch.report.published import markdown

        check_output("--table", table, TABLE)
        write_atomic(table, markdown(compare_all(paper)))
    else:
        from segsearch.report.console import show
        from segsearch.report.point import points
        from segsearch.space.points import points_of

        chosen = points_of(paper)
        if as_json:
            print(
                json.dumps({name: p.model_dump(mode="json", exclude_none=True) for name, p in chosen.items()}, indent=2)
            )
            return
        show(points(chosen.values()))


def _recount(paper: str | None, as_json: bool) -> None:
    from segsearch.published import recount
    from segsearch.report.console import bar

    with bar("count") as report:
        found = recount(paper, report)
    if as_json:
        print(json.dumps([wrong.as_json() for wrong in found], indent=2))
    else:
        print("\n".join(map(str, found)) or "all as their files state")
    if found:
        raise typer.Exit(1)


@space.command("show")
def space_show(name: SpaceArgument = "unified", as_json: JsonOption = False) -> None:
    """Print the tree of choices and how many networks it spans.

    Example: segsearch space show realtime
    """
    from segsearch.space.load import load_space
    from segsearch.space.walk import allowed

    tree = load_space(name)
    if as_json:
        print(json.dumps(_plain(tree), indent=2))
        return
    for dotted, node in tree.nodes():
        searched = getattr(node, "searched", None)
        note = f"   searches propose {', '.join(map(str, searched))}" if searched is not None else ""
        print(f"{'  ' * dotted.count('.')}{dotted}: {allowed(node)}{note}")
    print(f"{tree.name}: {tree.size:,} points, id {tree.id}")


def _plain(tree: "Space") -> dict[str, object]:
    """Write a space by its choices' dotted names; ranges are given by their ends."""
    from segsearch.space.nodes import OneOf

    choices = {}
    for dotted, node in tree.nodes():
        fields = {"arms": list(node.accepted())} if isinstance(node, OneOf) else asdict(node)
        choices[dotted] = {"kind": type(node).__name__.lower(), **fields}
    return {"name": tree.name, "id": tree.id, "size": tree.size, "choices": choices}


@space.command("size")
def space_size(name: SpaceArgument = "unified") -> None:
    """Print how many distinct points a search may propose.

    Example: segsearch space size realtime
    """
    from segsearch.space.load import load_space

    print(load_space(name).size)


@space.command("sample")
def space_sample(
    name: SpaceArgument = "unified",
    count: Annotated[int, typer.Option(min=1, help="How many points.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same points.")] = 0,
) -> None:
    """Draw points uniformly, as JSON lines of choices.

    Example: segsearch space sample realtime --count 3 --seed 1
    """
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
    """Check a point against a space and print the id of its network.

    Example: segsearch space check fpenet --space fpenet
    """
    from segsearch.named import read_point
    from segsearch.space.load import load_space
    from segsearch.space.lower import lower
    from segsearch.space.walk import check

    _, choices = read_point(point)
    print(lower(check(load_space(name), choices, point)).id)


def schema(
    what: Annotated[Literal["spec", "study", "recipe"], typer.Argument(metavar="WHAT", help="What the schema is of.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.json", help="A file to write; default: print it.")
    ] = None,
) -> None:
    """Write the JSON schema of a file that people write, so that editors complete and check it.

    Example: segsearch schema study --out study.schema.json
    """
    from segsearch.files import write_atomic

    if out is not None:
        check_output("--out", out, SCHEMA)
    text = json.dumps(_model(what).model_json_schema(), indent=2, sort_keys=True)  # type: ignore[attr-defined]
    print(text) if out is None else write_atomic(out, text + "\n")


def lint(
    file: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="An exported network, ours or anybody's.")],
    as_json: JsonOption = False,
) -> None:
    """Check an ONNX file for known defects of exported networks; the exit code is 2 where there are any.

    Example: segsearch lint winner/model.onnx
    """
    from segsearch.deployment.lint import lint_file

    found = lint_file(file)
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        told = [f"{file}:{finding.place}: {finding.problem} ({finding.rule})" for finding in found]
        print("\n".join(told) or f"{file}: nothing found")
    if found:
        raise typer.Exit(2)


def _model(what: str) -> object:
    if what == "spec":
        from segsearch.spec.network import NetworkSpec

        return NetworkSpec
    if what == "recipe":
        from segsearch.training.recipe import Recipe

        return Recipe
    from segsearch.study.config import StudyConfig

    return StudyConfig
