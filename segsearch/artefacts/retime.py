"""Latency of an ONNX artefact in a process of its own, which has nothing of the one that made it."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import segsearch
from segsearch.errors import ProofError, one_line
from segsearch.export.artefact import Timing
from segsearch.measure.affinity import held
from segsearch.measure.timer import TimerSettings, sample_latencies

RETAKES = 3
"""So many more processes are started where the reference network moved beside the first."""


def time_file(path: Path, threads: int, timer: TimerSettings) -> Timing:
    """Time an ONNX artefact, alone, on the image that searches time their networks with.

    It is timed again where the reference network moved; ``steady`` is False where that did not end. Raises as
    `time_again`.
    """
    # not above: the process that this module starts needs no torch
    import torch

    from segsearch.export.session import OnnxModel
    from segsearch.measure.blocks import Block, Blocks
    from segsearch.measure.deployed import example_image
    from segsearch.measure.device_lock import timing
    from segsearch.measure.level import level_of
    from segsearch.measure.machine import cpu_name
    from segsearch.measure.reference import reference_block
    from segsearch.measure.stopwatch import WallStopwatch
    from segsearch.measure.threads import torch_threads

    cpu, planes = torch.device("cpu"), example_image(OnnxModel(path, threads=threads).size_hw).numpy()
    with timing(cpu), torch_threads(threads), held(threads):  # whatever is started inside is held too
        reference = reference_block(cpu, WallStopwatch())
        once = timer.model_copy(update={"blocks": 1, "retakes": RETAKES})
        blocks = Blocks(reference(), once, level_of(cpu, "blocks").known_ms(reference))
        while not blocks.enough:
            before = blocks.last_ms
            found = time_again(path, planes, threads=threads, timer=timer, device=cpu_name())
            blocks.add(Block(laps=[found.latency_ms], before=before, after=reference()))
    samples = blocks.chosen(0, True)
    return found.model_copy(update={"latency_ms": samples.median_ms, "steady": samples.steady})


def time_again(path: Path, planes: npt.NDArray[np.uint8], *, threads: int, timer: TimerSettings, device: str) -> Timing:
    """Start a process that loads the file and times it on one image, uint8 [1, 3, H, W], with onnxruntime.

    Raises:
        ProofError: the process ends without a latency; says its last words.
    """
    with tempfile.TemporaryDirectory() as folder:
        example = Path(folder) / "example.npy"
        np.save(example, planes)
        measured = _started(str(path.resolve()), str(example), str(threads), timer.model_dump_json())
    return Timing(
        latency_ms=measured["median_ms"],
        covers="mask",
        backend="onnxruntime",
        device=device,
        threads=threads,
        fresh_process=measured["process"] != os.getpid(),
    )


def _started(*arguments: str) -> dict[str, Any]:
    """Run this module in a new interpreter and read what it prints."""
    here = str(Path(segsearch.__file__).parents[1])  # the very package that runs now; -P: not the working folder's
    search = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-P", "-m", "segsearch.artefacts.retime", *arguments]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": search}, capture_output=True, text=True, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ProofError(f"{arguments[0]}: could not be timed in a fresh process: {one_line(words[-1])}") from None
    return found


def main(path: str, example: str, threads: str, timer: str) -> None:
    """Time one file, as the process that `time_again` starts, and print the median and this process's number."""
    from segsearch.export.session import OnnxModel

    model = OnnxModel(Path(path), threads=int(threads))
    planes = np.load(example, allow_pickle=False)
    samples = sample_latencies(lambda: model.run(planes), settings=TimerSettings.model_validate_json(timer))
    print(json.dumps({"median_ms": samples.median_ms, "process": os.getpid()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
