"""What a worker does with one job: checks, measures, and says in one line what is wrong; all in this process."""

import os
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from segsearch.errors import DeviceError
from segsearch.measure.backends.table import ready_backend
from segsearch.measure.record import LatencyRecord
from segsearch.remote.graph import digest
from segsearch.remote.job import outcome

from .networks import QUICK, SIZE, SPEC, job

OFFERED = ("onnxruntime", "openvino")


def told(folder: Path, graph: bytes, **changes: object) -> LatencyRecord | tuple[str, str]:
    """The record, or who is at fault and the line that says so."""
    (folder / "network.onnx").write_bytes(graph)
    event = outcome(job(graph, **changes), folder / "network.onnx", OFFERED, lambda stage: None)
    if event.answer is not None:
        assert (event.answer.spec_id, event.answer.sha256) == (SPEC, digest(graph))
        return event.answer.record
    assert event.failure is not None and str(folder) not in event.failure.line and "\n" not in event.failure.line
    return event.failure.kind, event.failure.line


def floats() -> bytes:
    """Somebody's own model: logits of floats."""
    faces = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, *SIZE]) for name in ("image", "logits")]
    body = helper.make_graph([helper.make_node("Relu", ["image"], ["logits"])], "g", faces[:1], faces[1:])
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()


def test_an_honest_job(graph: bytes, tmp_path: Path) -> None:
    record = told(tmp_path, graph, label="tiny")
    assert isinstance(record, LatencyRecord)
    assert (record.label, record.size_hw, record.batch, record.backend) == ("tiny", SIZE, 1, "onnxruntime")
    assert len(record.samples_ms) >= QUICK.min_samples and record.timer == QUICK and record.threads == 1


def test_a_precision_that_the_processor_does_not_compute_in_is_the_requests_fault(graph: bytes, tmp_path: Path) -> None:
    try:
        ready_backend("openvino", torch.device("cpu"), "bfloat16")
    except DeviceError as error:
        assert told(tmp_path, graph, backend="openvino", precision="bfloat16") == ("request", str(error))
    else:
        found = told(tmp_path, graph, backend="openvino", precision="bfloat16")
        assert isinstance(found, LatencyRecord) and found.facts["inference_precision"] == "bf16"


def test_an_impossible_latency_is_refused(graph: bytes, tmp_path: Path) -> None:
    kind, line = told(tmp_path, graph, macs=10**15)
    assert kind == "network" and "the network did not run, or was not waited for" in line


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"garbage", "graph: is not ONNX"),
        (0.5, "graph: is not ONNX"),
        (b"", "graph: is not a model exported by segsearch"),
        (floats(), "graph: is not a model exported by segsearch"),
    ],
)
def test_what_is_no_graph_of_ours(body: bytes | float, line: str, graph: bytes, tmp_path: Path) -> None:
    sent = body if isinstance(body, bytes) else graph[: int(body * len(graph))]
    kind, found = told(tmp_path, sent)
    assert kind == "request" and found.startswith(line)


def test_another_graph_than_announced(graph: bytes, tmp_path: Path) -> None:
    assert told(tmp_path, graph, spec_id="f" * 12) == ("request", f"the graph is of spec {SPEC}, the job of {'f' * 12}")
    line = "graph: is exported at (32, 48), not at (48, 32)"
    assert told(tmp_path, graph, size_hw=[48, 32]) == ("request", line)


def test_a_torch_file_is_not_even_looked_into(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save(Trap(), tmp_path / "trap.pt")
    assert told(tmp_path, (tmp_path / "trap.pt").read_bytes()) == ("request", "graph: is not ONNX")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"backend": "eager"}, "backend: 'eager' is not offered by this worker (allowed: "),
        ({"backend": "tvm"}, "backend: 'tvm' is not offered"),
        ({"device": "tpu"}, "device: 'tpu' is not known"),
        ({"precision": "float7"}, "precision: onnxruntime does not run in 'float7'"),
        ({"precision": "float16"}, "precision: onnxruntime does not run float16 on cpu"),
        ({"device": "cuda:9"}, "device: cuda:9 is not here"),
    ],
)
def test_conditions_it_cannot_meet(changes: dict[str, object], line: str, graph: bytes, tmp_path: Path) -> None:
    kind, found = told(tmp_path, graph, **changes)
    assert kind == "request" and found.startswith(line)


def test_another_precision_than_the_graphs_is_the_networks_fault(graph: bytes, tmp_path: Path) -> None:
    kind, line = told(tmp_path, graph, precision="int8")
    assert kind == "network" and line.startswith("graph: its weights are float32, which does not run as int8")


def test_a_network_that_its_runtime_refuses_is_the_networks_fault(graph: bytes, tmp_path: Path) -> None:
    model = onnx.load_model_from_string(graph)
    node = next(node for node in model.graph.node if node.op_type == "Resize")
    attribute = next(a for a in node.attribute if a.name == "coordinate_transformation_mode")
    attribute.s = b"sideways"  # which the checker lets pass
    kind, _ = told(tmp_path, model.SerializeToString())
    assert kind == "network"


def test_a_full_disk_is_not_the_networks_fault(graph: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the temporary folder that the locks lie in cannot be written."""
    monkeypatch.setattr("tempfile.tempdir", "/dev/full")
    kind, line = told(tmp_path, graph)
    assert kind == "request" and "/dev/full" in line
