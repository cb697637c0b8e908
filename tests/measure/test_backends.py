import functools
import gc
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from torch import Tensor, nn

from segsearch.deployment.deploy import deploy
from segsearch.errors import DeviceError, InputError, MissingExtraError
from segsearch.measure.backends.base import PRECISIONS
from segsearch.measure.backends.cudagraph import over_static_image
from segsearch.measure.backends.eager import Eager
from segsearch.measure.backends.onnx_file import written
from segsearch.measure.backends.onnx_runtime import OnnxRuntime, provider
from segsearch.measure.backends.open_vino import OpenVino
from segsearch.measure.backends.table import BACKENDS, find_backend
from segsearch.measure.backends.torch_network import float32_as
from segsearch.measure.machine import DEVICES

from .networks import SIZE, Mini, state

COMPILES = {"compile", "compile-graph", "aotinductor"}
"""Half a minute for the smallest network."""
FILES = [name for name, make in BACKENDS.items() if make().takes_file]
CASES = [
    pytest.param(name, device, marks=[pytest.mark.nightly] if name in COMPILES else [], id=f"{name}-{device}")
    for name, make in BACKENDS.items()
    for device in make().devices
]
REDUCED = [
    pytest.param(name, device, precision, marks=[pytest.mark.nightly] if name in COMPILES else [])
    for name, make in BACKENDS.items()
    for device in make().devices
    for precision in make().precisions
    if precision not in ("float32", "int8") and (device, precision in make().cuda_precisions) != ("cpu", True)
]


class Bytes(nn.Module):
    """From uint8 pixels to a uint8 mask, as deployed networks are."""

    def __init__(self, network: nn.Module | None = None) -> None:
        super().__init__()
        self.network: Any = network or Mini()
        if network is None:
            self.network.head.bias.data.zero_()  # else one class wins everywhere

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image.to(self.network.head.weight.dtype) / 255).argmax(1).to(torch.uint8)


def images(count: int = 2) -> list[Tensor]:
    return [torch.randint(0, 256, (1, 3, *SIZE), dtype=torch.uint8) for _ in range(count)]


def usable(name: str, device: str) -> None:
    """Skip where the device, the library or the build of it is not here."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    try:
        BACKENDS[name]().version()
    except MissingExtraError as error:
        pytest.skip(str(error))
    if (name, device) == ("onnxruntime", "cuda"):
        import onnxruntime

        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            pytest.skip("needs onnxruntime-gpu")


def prepare(name: str, device: str, network: nn.Module, example: Tensor, **options):
    usable(name, device)
    return BACKENDS[name]().prepare(network.to(device), example.to(device), **options)


def opener(name: str) -> Any:
    """A backend that opens files."""
    return BACKENDS[name]()


def first(output) -> Tensor:
    """The one tensor in what a backend returned."""
    output = output[0] if isinstance(output, list) else output
    return torch.from_numpy(output) if isinstance(output, np.ndarray) else output.detach()


def equal(mask: Tensor, expected: Tensor) -> float:
    """Fraction of equal pixels."""
    assert mask.dtype == torch.uint8
    return (mask.cpu() == expected.cpu()).float().mean().item()


@pytest.mark.parametrize("name", BACKENDS)
def test_describes_itself(name):
    backend = BACKENDS[name]()
    assert backend.name == name
    assert set(backend.devices) <= set(DEVICES)
    assert set(backend.cuda_precisions) <= set(backend.precisions) <= set(PRECISIONS)
    assert backend.takes_file == hasattr(backend, "open")
    for device in backend.devices:
        usable(name, device)
        assert backend.version()[0].isdecimal()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("name", "device"), CASES)
def test_knows_in_a_moment_what_it_would_refuse(name, device, precision):
    usable(name, device)
    if precision == "int8":
        pytest.skip("of files only")

    def refusal(act: Any) -> str | None:
        try:
            act()
        except (DeviceError, InputError) as error:
            return str(error)
        return None

    network, image = Bytes().eval(), images(1)[0]
    asked = refusal(lambda: BACKENDS[name]().check(torch.device(device), precision))
    assert asked == refusal(lambda: prepare(name, device, network, image, precision=precision))


@pytest.mark.parametrize(("name", "device"), CASES)
class TestContract:
    def test_gives_the_output_of_the_network_again_and_again(self, name, device):
        network, image = Mini().eval(), torch.rand(2, 3, *SIZE)
        expected = network(image).detach()
        call = prepare(name, device, network, image, precision="float32").run
        for _ in range(2):
            torch.testing.assert_close(first(call()).cpu(), expected, rtol=1e-4, atol=1e-5)

    def test_runs_bytes_to_mask_of_any_image(self, name, device):
        network, (image, other) = Bytes().eval(), images()
        expected, expected_other = network(image), network(other)
        prepared = prepare(name, device, network, image)
        assert expected.unique().numel() > 1
        assert equal(expected, expected_other) < 0.99
        assert equal(first(prepared.run()), expected) > 0.999
        mask = prepared.mask(other)
        assert mask.device.type == "cpu"
        assert equal(prepared.mask(image), expected) > 0.999
        assert equal(mask, expected_other) > 0.999, "a mask that was given is not overwritten by the next"
        assert equal(first(prepared.run()), expected) > 0.999, "run is about the example again"

    def test_leaves_the_network_alone_and_says_nothing(self, name, device, capfd, recwarn):
        usable(name, device)
        network = Mini().eval().to(device)
        before = state(network)
        prepared = prepare(name, device, network, torch.rand(1, 3, *SIZE))
        prepared.run()
        assert all(isinstance(fact, str) for fact in prepared.facts.values())
        assert state(network) == before
        assert capfd.readouterr() == ("", "")
        assert not recwarn.list


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_an_opened_file_may_vanish(name, tmp_path):
    usable(name, "cpu")
    network, (image, _) = Bytes().eval(), images()
    with written(network, image, "float32") as path:
        prepared = opener(name).open(path, image)
    assert equal(first(prepared.run()), network(image)) > 0.999


@pytest.mark.parametrize("name", ["eager", "onnxruntime", "openvino"])
def test_threads_are_freed_with_what_was_prepared(name):
    usable(name, "cpu")
    before = torch.get_num_threads()

    def prepared():
        made = prepare(name, "cpu", Mini().eval(), torch.rand(1, 3, *SIZE))
        made.run()
        return made

    torch.set_num_threads(4)
    try:
        prepared()  # what a library starts once and for all
        gc.collect()
        alone = psutil.Process().num_threads()
        held = prepared()
        with_it = psutil.Process().num_threads()
        del held
        gc.collect()
        assert psutil.Process().num_threads() == alone
        # OpenVINO keeps one pool for the process, which must not grow
        assert name != "onnxruntime" or with_it > alone
    finally:
        torch.set_num_threads(before)


@functools.cache
def trained() -> tuple[nn.Module, Tensor, Tensor]:
    """A network that has learnt to tell five colours apart, an image, and what it is of."""
    torch.manual_seed(0)
    colours = torch.tensor([[230, 30, 30], [30, 220, 40], [40, 40, 230], [210, 210, 40], [120, 120, 120]])
    network = Mini(len(colours)).train()
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    for _ in range(120):
        truth = torch.randint(0, len(colours), (4, 4, 6)).repeat_interleave(8, 1).repeat_interleave(8, 2)
        image = (colours[truth].permute(0, 3, 1, 2) + 10 * torch.randn(4, 3, *SIZE)).clamp(0, 255)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(image / 255), truth).backward()
        optimizer.step()
    return Bytes(network).eval().requires_grad_(False), image[:1].to(torch.uint8), truth[:1]


@pytest.mark.parametrize(("name", "device", "precision"), REDUCED)
def test_fewer_bits_give_nearly_the_same_mask(name, device, precision):
    network, image, truth = trained()
    expected = network.cpu()(image)
    assert equal(expected, truth.to(torch.uint8)) > 0.7, "the network learnt nothing"
    try:
        prepared = prepare(name, device, network, image, precision=precision)
    except DeviceError as error:
        if (name, precision) != ("openvino", "bfloat16"):
            raise
        pytest.skip(str(error))  # by what instructions the processor has
    assert equal(prepared.mask(image), expected) >= 0.99
    network.cpu()


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_sixteen_bits_lie_channels_last_unless_told(precision):
    seen = []

    class Look(nn.Conv2d):
        def forward(self, image):
            seen.append((self.weight.dtype, self.weight.is_contiguous(memory_format=torch.channels_last)))
            return super().forward(image)

    network, image = Look(3, 8, 3).eval(), torch.rand(1, 3, *SIZE)
    asked = [(Eager(), precision), (Eager(channels_last=False), precision), (Eager(channels_last=True), None)]
    prepared = [backend.prepare(network, image, precision=word) for backend, word in asked]
    for each in prepared:
        each.run()
    half = getattr(torch, precision)
    assert seen == [(half, True), (half, False), (torch.float32, True)]
    assert [dict(each.facts) for each in prepared] == [{"layout": "channels_last"}, {}, {"layout": "channels_last"}]


def test_a_half_deployed_network_runs_on_bytes():
    class Network(nn.Module):
        classes = 5

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 5, 3, padding=1)

        def forward(self, image):
            return self.conv(image)

    deployed = deploy(Network(), SIZE, (0.4, 0.4, 0.4), (0.2, 0.2, 0.2))
    (image,) = images(1)
    prepared = Eager().prepare(deployed, image, precision="float16")
    assert equal(prepared.mask(image), deployed(image)) > 0.98
    assert deployed.scale.dtype == torch.float32


@pytest.mark.parametrize(("tf32", "word", "old"), [(True, "tf32", "high"), (False, "ieee", "highest")])
def test_float32_means_what_it_says_inside_only(tf32, word, old):
    def switches():
        cudnn: Any = torch.backends.cudnn
        matmul: Any = torch.backends.cuda.matmul
        return cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, matmul.fp32_precision

    before = switches(), torch.get_float32_matmul_precision()
    with pytest.raises(KeyError), float32_as(tf32):
        assert (switches(), torch.get_float32_matmul_precision()) == ((word,) * 3, old)
        assert torch.backends.cuda.matmul.allow_tf32 == tf32, "old and new switches agree, else torch refuses to tell"
        raise KeyError
    assert (switches(), torch.get_float32_matmul_precision()) == before


def test_a_static_image_holds_the_example_again_after_a_mask():
    example, other = images()
    image, output = example.clone(), torch.empty_like(example)
    prepared = over_static_image(lambda: output.copy_(255 - image), image, output, example, {})
    assert torch.equal(first(prepared.run()), 255 - example)
    assert torch.equal(prepared.mask(other), 255 - other)
    assert torch.equal(first(prepared.run()), 255 - example)
    with pytest.raises(AssertionError):
        prepared.mask(other[..., :1])


def test_eager_builds_no_graph_of_gradients():
    output = Eager().prepare(Mini().eval(), torch.rand(1, 3, *SIZE)).run()
    assert isinstance(output, Tensor)
    assert output.is_inference()
    assert not output.requires_grad


def test_onnxruntime_takes_the_threads_of_torch(monkeypatch):
    import onnxruntime

    made = []

    class Spy(onnxruntime.InferenceSession):
        def __init__(self, path, options, **kwargs):
            made.append(options.intra_op_num_threads)
            super().__init__(path, options, **kwargs)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Spy)
    OnnxRuntime().prepare(Mini().eval(), torch.rand(1, 3, *SIZE))
    assert made == [torch.get_num_threads()]


def test_openvino_is_set_for_one_image_and_says_in_what_it_computes():
    usable("openvino", "cpu")
    facts = OpenVino().prepare(Mini().eval(), torch.rand(1, 3, *SIZE)).facts
    assert facts == {"precision": "float32", "inference_precision": "f32", "streams": "1", "threads": "1"}


def test_openvino_is_imported_without_its_telemetry():
    usable("openvino", "cpu")
    code = """
import socket, sys
def refuse(*_): raise AssertionError("the network was touched")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from segsearch.deployment.openvino import core
core()
assert "openvino_telemetry" not in sys.modules, "imported, or left hidden from others"
assert "openvino.tools.ovc.telemetry_stub" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


class TestMissing:
    @pytest.mark.parametrize(
        ("name", "library", "extra"),
        [
            ("onnxruntime", "onnxruntime", "export"),
            ("onnxruntime", "onnxscript", "export"),
            ("openvino", "openvino", "openvino"),
            ("openvino", "onnx", "export"),
        ],
    )
    def test_a_library_names_its_extra(self, name, library, extra, monkeypatch):
        usable(name, "cpu")
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(MissingExtraError, match=rf"{library} is not installed: pip install 'segsearch\[{extra}\]'"):
            BACKENDS[name]().prepare(Mini().eval(), torch.rand(1, 3, *SIZE))

    def test_tensorrt_names_its_extra(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "tensorrt", None)
        with pytest.raises(MissingExtraError, match=r"tensorrt is not installed: pip install 'segsearch\[tensorrt\]'"):
            BACKENDS["tensorrt"]().version()

    @pytest.mark.parametrize("name", ["compile", "aotinductor"])
    def test_a_compiler_is_one_line(self, name, monkeypatch):
        monkeypatch.setenv("CXX", "no-such-compiler")
        with pytest.raises(DeviceError) as error:
            BACKENDS[name]().prepare(Mini().eval(), torch.rand(1, 3, *SIZE))
        assert str(error.value) == (
            f"backend: {name} needs a C++ compiler, and 'no-such-compiler' is not here (available: set CXX)"
        )

    def test_cuda_in_onnxruntime_is_one_line(self):
        import onnxruntime

        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            pytest.skip("says what a build without CUDA says")
        with pytest.raises(DeviceError, match="this build of onnxruntime has no CUDAExecutionProvider"):
            provider(torch.device("cuda", 0))


class TestFind:
    @pytest.mark.parametrize("name", BACKENDS)
    def test_gives_what_was_asked_for(self, name):
        for device in BACKENDS[name]().devices:
            for precision in (None, BACKENDS[name]().precisions[0]):
                assert find_backend(name, device, precision).name == name

    @pytest.mark.parametrize(
        ("asked", "error", "line"),
        [
            (("tvm",), InputError, f"backend: 'tvm' is not known (allowed: {', '.join(BACKENDS)})"),
            (("openvino", "cuda"), DeviceError, "backend: openvino does not run on cuda (available: cpu)"),
            (("tensorrt", "cpu"), DeviceError, "backend: tensorrt does not run on cpu (available: cuda)"),
            (
                ("eager", "cpu", "int8"),
                InputError,
                "precision: eager does not run in 'int8' (allowed: float32, tf32, float16, bfloat16)",
            ),
            (
                ("eager", "cpu", "tf32"),
                DeviceError,
                "precision: eager does not run tf32 on cpu (available: float32, float16, bfloat16)",
            ),
            (
                ("onnxruntime", "cpu", "float16"),
                DeviceError,
                "precision: onnxruntime does not run float16 on cpu (available: float32, int8)",
            ),
        ],
    )
    def test_what_cannot_be_is_one_line(self, asked, error, line):
        with pytest.raises(error) as raised:
            find_backend(*asked)
        assert str(raised.value) == line
        assert type(raised.value) is error

    def test_a_backend_refuses_by_itself_what_find_refuses(self):
        with pytest.raises(DeviceError, match="eager does not run tf32 on cpu"):
            Eager().prepare(Mini().eval(), torch.rand(1, 3, *SIZE), precision="tf32")
        with pytest.raises(DeviceError, match=r"cudagraph does not run on cpu \(available: cuda\)"):
            BACKENDS["cudagraph"]().prepare(Mini().eval(), torch.rand(1, 3, *SIZE))
        with pytest.raises(InputError, match="openvino does not run in 'float16'"):
            OpenVino().prepare(Mini().half().eval(), torch.rand(1, 3, *SIZE).half())
        with pytest.raises(InputError, match="int8 comes from a quantised ONNX file, not from a network"):
            OnnxRuntime().prepare(Mini().eval(), torch.rand(1, 3, *SIZE), precision="int8")


@pytest.fixture(scope="module")
def mask_file(tmp_path_factory) -> tuple[Path, nn.Module]:
    """A file from bytes to a mask, and its network."""
    torch.manual_seed(0)
    network, path = Bytes().eval(), tmp_path_factory.mktemp("files") / "mask.onnx"
    with written(network, images(1)[0], "float32") as made:
        path.write_bytes(made.read_bytes())
    return path, network


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
class TestFiles:
    def test_a_file_runs_as_its_network(self, name, mask_file):
        usable(name, "cpu")
        path, network = mask_file
        image, other = images()
        prepared = opener(name).open(path, image)
        assert prepared.facts["precision"] == "float32"
        assert equal(first(prepared.run()), network(image)) > 0.999
        assert equal(prepared.mask(other), network(other)) > 0.999

    @pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x0a\x12\x00", None])
    def test_what_is_no_model_is_one_line(self, name, content, mask_file, tmp_path, capfd):
        usable(name, "cpu")
        path = tmp_path / "bad.onnx"
        path.write_bytes(mask_file[0].read_bytes()[:-1000] if content is None else content)
        with pytest.raises(InputError) as error:
            opener(name).open(path, images(1)[0])
        assert str(error.value).startswith(f"{path}: is not an ONNX model: ") and "\n" not in str(error.value)
        assert capfd.readouterr() == ("", "")

    def test_a_file_that_is_not_there(self, name, tmp_path):
        usable(name, "cpu")
        with pytest.raises(InputError, match=r"none\.onnx: there is no such file"):
            opener(name).open(tmp_path / "none.onnx", images(1)[0])

    @pytest.mark.parametrize(
        "example", [torch.zeros(1, 3, 64, 64, dtype=torch.uint8), torch.zeros(1, 3, *SIZE)], ids=["size", "type"]
    )
    def test_a_model_for_other_images_is_one_line(self, name, example, mask_file):
        usable(name, "cpu")
        with pytest.raises(InputError) as error:
            opener(name).open(mask_file[0], example)
        kind = str(example.dtype).removeprefix("torch.")
        assert str(error.value) == (
            f"{mask_file[0]}: takes uint8 (1, 3, 32, 48) (allowed: one image, {kind} {tuple(example.shape)})"
        )

    def test_a_model_without_a_mask_is_one_line(self, name, tmp_path):
        class Logits(Bytes):
            def forward(self, image):
                return self.network(image.float())

        usable(name, "cpu")
        (image,) = images(1)
        with written(Logits().eval(), image, "float32") as path, pytest.raises(InputError) as error:
            opener(name).open(path, image)
        assert str(error.value) == f"{path}: gives float32 (1, 5, 32, 48) (allowed: one mask, uint8 (1, 32, 48))"

    def test_a_file_of_another_precision_is_one_line(self, name, mask_file, tmp_path):
        usable(name, "cpu")
        backend, (image,) = opener(name), images(1)
        with pytest.raises(InputError, match=r"mask\.onnx: its weights are float32, which does not run as int8"):
            backend.open(mask_file[0], image, precision="int8")
        with written(Bytes().eval(), image, "float16") as path, pytest.raises((InputError, DeviceError)) as error:
            backend.open(path, image)
        assert "float16" in str(error.value)

    def test_a_quantised_file_runs_as_int8(self, name, tmp_path):
        usable(name, "cpu")
        network, image, _ = trained()
        path = tmp_path / "int8.onnx"
        quantise(network, image, path)
        prepared = opener(name).open(path, image)
        assert prepared.facts["precision"] == "int8"
        assert equal(prepared.mask(image), network(image)) > 0.9
        with pytest.raises(InputError, match=r"its weights are int8, which does not run as float32 \(allowed: int8\)"):
            opener(name).open(path, image, precision="float32")


def quantise(network: nn.Module, image: Tensor, path: Path) -> None:
    """Write an int8 file by onnxruntime's own static quantisation, calibrated on one image."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class One(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = [{"image": image.numpy()}]

        def get_next(self):
            return self.left.pop() if self.left else None

    with written(network, image, "float32") as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize_static(str(made), str(path), One(), quant_format=QuantFormat.QDQ)
