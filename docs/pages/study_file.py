"""`study_file.md`, from the JSON schemas and the unified space's file."""

import re
from collections.abc import Iterator
from typing import Any

from pages.opening import OPENING


def study_file() -> str:
    """Write every key of the files that people write."""
    from segsearch.study.config import StudyConfig

    schema = StudyConfig.model_json_schema(by_alias=True)
    parts = schema["$defs"]
    kinds = {
        name: ref.rpartition("/")[2] for name, ref in schema["properties"]["data"]["discriminator"]["mapping"].items()
    }
    kinds.pop("own")  # which no file can describe
    sections = [_keys("## A study", "What `segsearch search FILE` reads.", schema)]
    inner = {"budget": "Budget", "remote": "Remote", "resources": "Resources", "timer": "TimerSettings"}
    sections += [_keys(f"## {key}", _short(parts[name]), parts[name]) for key, name in inner.items()]
    sections += [
        _keys("## recipe", "Also a file of its own: `recipe: FILE.yaml`, `segsearch train --recipe`.", parts["Recipe"])
    ]
    sections += [
        "## data\n\n`data` of a study, and the file that `segsearch train --data` takes, has the keys of its `name`.\n"
    ]
    sections += [_keys(f"### {name}", _short(parts[kind]), parts[kind]) for name, kind in kinds.items()]
    sections += [_keys("### holdout", _short(parts["Holdout"]), parts["Holdout"]), SPACE_FILE, _choices()]
    return (
        f"# The study file, key by key\n\n{OPENING}\n\nFiles are YAML. `segsearch schema study`, `schema "
        "recipe` write the same as JSON schemas, by which editors complete and check what is written.\n\n"
        + "\n".join(sections)
    )


def _keys(heading: str, text: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = [_key(name, field, name in required) for name, field in schema["properties"].items()]
    return f"{heading}\n\n{text}\n\n| key | value | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _key(name: str, field: dict[str, Any], required: bool) -> str:
    meaning = field.get("description") or ("names this data set" if "const" in field else "")
    default = "see meaning" if "default" in meaning else "required" if required else _default(field)
    return f"| `{name}` | {_value(field)} | {default} | {_cell(meaning)} |"


def _default(field: dict[str, Any]) -> str:
    value = field.get("default")
    if value is None or value in ({}, []):
        return "none"
    return "see below" if isinstance(value, dict) else f"`{_yaml(value)}`"


def _value(field: dict[str, Any]) -> str:
    """Write a JSON schema's type for people."""
    if "const" in field or "enum" in field:
        return ", ".join(f"`{word}`" for word in field.get("enum", [field.get("const")]))
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2].removesuffix("Settings").lower()
        return f"[its keys](#{name})"
    if "oneOf" in field:
        return "[its keys](#data)"
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_value(each) for each in field["anyOf"] if each.get("type") != "null"))
    if field.get("type") == "array":
        items = field.get("prefixItems") or [field["items"]]
        return f"list of {len(items)}: {_value(items[0])}" if "prefixItems" in field else f"list of {_value(items[0])}"
    if field.get("type") == "object":
        return "mapping"
    return {"integer": "whole number", "string": "text", "boolean": "`true`, `false`"}.get(
        field["type"], field["type"]
    ) + _law(field)


def _law(field: dict[str, Any]) -> str:
    words = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
    laws = [f"{sign} {field[key]:,}" for key, sign in words.items() if key in field and field[key] < 2**62]
    return f", {', '.join(laws)}" if laws else ""


def _yaml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("``", "`")


def _short(schema: dict[str, Any]) -> str:
    return _cell(schema["description"].replace("\n\n", " "))


SPACE_FILE = """## A space's file

`space: NAME` and `axes:`, a tree of choices by name; `space:` of a study takes the file's path. Each choice is one of these.

| key | value | default | meaning |
|---|---|---|---|
| `choice` | list of words, numbers or truth values | | the values that a point may hold |
| `fixed` | one of the choice's | none | beside `choice`: the one value that searches propose |
| `searched` | some of the choice's | all | beside `choice`: the values that searches propose |
| `integer` | list of 2: whole numbers | | the least and the greatest, both included |
| `step` | whole number, >= 1 | `1` | beside `integer`: the distance of its values |
| `word` | text | | the form of a free word, which a search proposes only where `narrow` lists some |
| `one_of` | mapping | | arms by name, of which a point takes one; each has choices of its own, or none: `{}` |
"""


def _choices() -> str:
    """Write the choices of the unified space, of which points are made, with their comments in its file."""
    from segsearch.resources import shipped
    from segsearch.space.load import load_space
    from segsearch.space.nodes import Choice
    from segsearch.space.walk import allowed

    meanings = dict(_comments(shipped("spaces/unified.yaml").read_text()))
    rows = []
    for name, node in load_space("unified").nodes():
        searched = node.searched if isinstance(node, Choice) else None
        proposed = "all" if searched is None else ", ".join(f"`{_yaml(value)}`" for value in searched)
        values = (
            ", ".join(f"`{word}`" for word in map(_yaml, node.options)) if isinstance(node, Choice) else allowed(node)
        )
        rows.append(f"| `{name}` | {values} | {proposed} | {_cell(meanings.get(name, ''))} |")
    return (
        "## A point's file\n\nOne line per choice of the unified space, as `segsearch show POINT --json` writes them below `point`. A "
        "choice inside an arm, such as `encoder.resnet.depth`, stands only where that arm is taken; one that searches propose a "
        "single value of may be left out. `narrow` of a study takes the same names.\n\n| choice | values | searched | meaning |\n"
        "|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def _comments(text: str) -> Iterator[tuple[str, str]]:
    """Give what a space's file says of each choice: above it, behind it, or both."""
    above: list[str] = []
    path: list[tuple[int, str]] = []
    for line in text.partition("axes:\n")[2].splitlines():
        comment = re.fullmatch(r"\s*# (.*)", line)
        if comment:
            above.append(comment[1])
        elif found := re.match(r"( *)(\w+):[^#]*(?:# (.*))?", line):
            indent, key, behind = len(found[1]), found[2], found[3]
            path = [(at, name) for at, name in path if at < indent]
            path.append((indent, key))
            if key not in ("one_of", "choice", "searched", "fixed"):
                yield (
                    ".".join(name for _, name in path if name != "one_of"),
                    " ".join([*above, *filter(None, [behind])]),
                )
                above = []
