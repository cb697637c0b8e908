"""The torch artefact: an exported program, ``.pt2``, that torch runs without our code."""

import hashlib
import io
import json
import re
import zipfile
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from segsearch.deployment.deploy import Deployed
from segsearch.errors import InputError, one_line
from segsearch.files import unpacked_bytes, write_atomic
from segsearch.quiet import quiet


def to_program(deployed: Deployed, path: Path) -> str:
    """Write a deployed network by ``torch.export.save`` and return the sha256 of the file, in hex.

    Raises:
        InputError: the file cannot be written.
    """
    example = torch.zeros(1, 3, *deployed.size_hw, dtype=torch.uint8)
    with quiet():
        program = torch.export.export(deployed, (example,), strict=False)
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # source files of this machine
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
    write_atomic(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


class Program:
    """A torch artefact ready to segment images, with torch's threads.

    ``torch.export.load`` can be made to run code by a file: it unpickles what the file asks for, and evaluates guards
    and symbolic sizes. So only a file of the known checksum is loaded: one just written, or one that a card names and
    `check_plain` has found nothing but tensors and a graph in, as nothing proves where a card comes from.
    """

    def __init__(self, path: Path, sha256: str) -> None:
        """Load ``path`` if its content has this checksum, in hex.

        Raises:
            InputError: it cannot be read, or its content is another one.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(path, f"cannot be read: {error.strerror}") from error
        found = hashlib.sha256(content).hexdigest()
        if found != sha256:
            raise InputError(path, f"is not the file that was written: its sha256 is {found}", sha256)
        with quiet():
            self._module = torch.export.load(io.BytesIO(content)).module()

    @torch.no_grad()
    def predict(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Segment an RGB image, uint8 [H, W, 3], into class indices, uint8 [H, W]."""
        planes = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
        return cast(npt.NDArray[np.uint8], self._module(planes)[0].numpy())


_PARTS = re.compile(
    r"[^/]+/(data/weights/weight_\d+|data/(weights|constants)/model_(weights|constants)_config\.json"
    r"|data/constants/tensor_\d+|models/model\.json|data/sample_inputs/model\.pt"
    r"|archive_format|archive_version|byteorder|\.data/(version|serialization_id))"
)
_OPERATORS = ("torch.ops.aten.", "_operator.getitem")


def check_plain(path: Path) -> None:
    """Check that a torch program holds tensors, and a graph of torch's own operators on fixed sizes, and no more.

    Raises:
        InputError: it is no such file, or holds anything else, such as pickled objects or compiled code.
    """
    try:
        unpacked_bytes(path)
        with zipfile.ZipFile(path) as archive:
            names = [entry.filename for entry in archive.infolist()]
            other = [name for name in names if not _PARTS.fullmatch(name)]
            if other or len(set(names)) < len(names):
                raise InputError(path, f"holds {other[0] if other else 'two parts of one name'}, which ours do not")
            if len({name.split("/", 1)[0] for name in names}) > 1:  # torch would read one, and we look at another
                raise InputError(path, "holds two folders, which ours do not")
            texts = {name.split("/", 1)[1]: archive.read(name) for name in names if name.endswith((".json", ".pt"))}
        graph = json.loads(texts["models/model.json"])
        configs = [json.loads(text) for name, text in texts.items() if name.endswith("_config.json")]
        pickled = any(tensor["use_pickle"] for config in configs for tensor in config["config"].values())
        operators = {node["target"] for node in graph["graph_module"]["graph"]["nodes"]}
        torch.load(io.BytesIO(texts["data/sample_inputs/model.pt"]), weights_only=True)
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file makes of these
        raise InputError(path, f"is no torch program of ours: {one_line(error)}") from error
    foreign = sorted(name for name in operators if not name.startswith(_OPERATORS) or "from_file" in name)
    evaluated = graph.get("guards_code") or any(
        word in texts["models/model.json"] for word in (b"expr_str", b"__enum__")
    )
    if pickled or foreign or evaluated:
        what = "pickled objects" if pickled else foreign[0] if foreign else "expressions to evaluate"
        raise InputError(path, f"holds {what}, which ours do not")
