"""`verbs.md`, from the command line's own help."""

import re
from collections.abc import Iterator
from typing import Any

from pages.opening import OPENING


def verbs() -> str:
    """Write every verb's help, options, examples and exit codes."""
    import typer

    from segsearch.cli.app import EXIT_CODES, app

    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items())
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="segsearch")
    found = list(_leaves(command, context, "segsearch"))
    index = "\n".join(f"| [`{name}`](#{_anchor(name)}) | {_first(verb.help)} |" for name, verb in found)
    sections = "\n".join(_verb(name, verb, context) for name, verb in found)
    return (
        f"# Verbs\n\n{OPENING}\n\n{command.help}\n\n"
        f"`segsearch --help` lists the verbs, `segsearch VERB --help` tells all of one. `segsearch --debug VERB` shows the "
        f"traceback of every error, too; `segsearch --install-completion` sets up the shell.\n\n"
        f"## Exit codes\n\nEvery verb ends with one of these. Where a verb has reasons of its own for 1, 2 or 3, they stand "
        f"in its section.\n\n| code | meaning |\n|---|---|\n{codes}\n\n## The verbs\n\n| verb | what it does |\n|---|---|\n{index}\n\n{sections}"
    )


def _leaves(command: Any, context: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        if hasattr(inner, "list_commands"):
            yield from _leaves(inner, context, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", inner


def _verb(name: str, verb: Any, context: Any) -> str:
    """Take Typer's page of one verb, with examples as code and the reasons for its exit codes as a line."""
    from typer.cli import get_docs_for_click

    page = get_docs_for_click(obj=verb, ctx=context, indent=1, call_prefix=name.rpartition(" ")[0])
    page = page.replace("* `--help`: Show this message and exit.\n", "").replace("  [", " [")
    page = page.replace("**Options**:\n\n\n", "")
    for lead in ("Usage", "Arguments", "Options"):
        page = page.replace(f"**{lead}**:\n\n```console\n$ ", "```\n").replace(f"**{lead}**:", f"{lead}:")
    example = re.compile(r"Example: (segsearch .*)\n\n")
    examples = example.findall(page)
    page = example.sub("", page).rstrip() + "\n\n"
    page += "Example:\n\n```\n" + "\n".join(examples) + "\n```\n"
    if reasons := [sentence for sentence in _sentences(verb) if "exit code" in sentence.lower()]:
        page += f"\nExit codes of its own: {' '.join(reasons)}\n"
    return page


def _sentences(verb: Any) -> list[str]:
    """Split a verb's help into sentences; an option's is told with its name."""
    told = [re.sub(r"\s+", " ", verb.help or "")]
    told += [f"`{p.opts[0]}`: {p.help}" for p in verb.params if getattr(p, "help", None)]
    return [sentence.strip() for text in told for sentence in re.findall(r"[^.]+(?:\.\w[^.]*)*\.", text)]


def _first(text: str) -> str:
    return re.split(r"\n\n|(?<=\.)\s", text)[0].replace("\n", " ").rstrip(".")


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")
