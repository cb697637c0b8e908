"""Where a page's figures are from: device, versions, seeds, and the commands that repeat them."""

import shlex
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import yaml

from segsearch.report.page import blocks
from segsearch.report.page.html import Block
from segsearch.report.words import duration
from segsearch.study.overview import Overview

if TYPE_CHECKING:
    from segsearch.run.folder import RunFile


def study_origin(found: Overview) -> Iterator[Block]:
    """Facts of a study, its file, and what to type to have it again."""
    config, file, records = found.file.config, found.file, found.records
    yield blocks.facts(
        {
            "device": file.device,
            "backend": ", ".join(
                _seen(f"{r.latency.backend} {r.latency.backend_version}" for r in records if r.latency)
            ),
            "threads": file.threads,
            "data": f"{config.data.name} at {config.data.size[0]}x{config.data.size[1]}",
            "content of the data": "; ".join(f"{key}: {held}" for key, held in (file.content or {}).items()),
            "space": f"{config.space} (id {file.space_id})",
            "recipe": config.recipe.id,
            "sampler": f"{config.sampler}, seed {config.seed}",
            "seeds of the trainings": "each trial's own, in its result.json",
            "commit": ", ".join(_seen(r.commit for r in records)),
            "versions": "; ".join(_seen(", ".join(f"{k} {v}" for k, v in r.versions.items()) for r in records)),
            "trials": f"{records[0].started_at} to {max(r.finished_at for r in records)}" if records else "none yet",
            "time of all trials": duration(sum(sum(r.seconds.values()) for r in records)),
        }
    )
    again = f"{config.name}_again"
    text = yaml.safe_dump(
        config.model_dump(mode="json", exclude_unset=True, by_alias=False), sort_keys=False, allow_unicode=True
    )
    yield blocks.command(f"the study's file; save it as {again}.yaml", text)
    yield blocks.command("run it again, from the start", _line("search", f"{again}.yaml", "--out", f"runs/{again}"))
    yield blocks.command("go on with this one", _line("search", str(found.folder)))


def run_origin(file: "RunFile") -> Iterator[Block]:
    """Facts of a run, its recipe, and what to type to have it again."""
    yield blocks.facts(
        {
            "device": file.hardware,
            "data": f"{file.data.title} at {file.data.size[0]}x{file.data.size[1]}",
            "content of the data": "; ".join(f"{key}: {held}" for key, held in file.content.items()),
            "network": f"{file.name} (id {file.spec.id})",
            "recipe": f"{file.recipe_name} (id {file.recipe.id})",
            "seed": file.seed,
            "commit": file.commit,
            "versions": ", ".join(f"{name} {version}" for name, version in file.versions.items()),
        }
    )
    name = f"{file.folder_name}_again"
    point, recipe, data = (f"{name}.{kind}.yaml" for kind in ("point", "recipe", "data"))
    yield blocks.command(f"the network; save it as {point}", _yaml({"choices": dict(file.point)}))
    yield blocks.command(
        f"the recipe; save it as {recipe}", _yaml(file.recipe.model_dump(mode="json", exclude_defaults=True))
    )
    yield blocks.command(f"the data; save it as {data}", _yaml(file.data.model_dump(mode="json")))
    words = [point, "--data", data, "--recipe", recipe, "--seed", str(file.seed), "--device", file.device]
    words += (
        [] if file.weights is None else ["--weights", file.weights.file] + ["--reset-head"] * file.weights.reset_head
    )
    yield blocks.command("train it again", _line("train", *words, "--out", f"runs/{name}"))


def _yaml(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)


def _line(*words: str) -> str:
    return shlex.join(["segsearch", *words])


def _seen(values: Iterable[str]) -> list[str]:
    """Return each value once, in the order of their first places."""
    return list(dict.fromkeys(values))
