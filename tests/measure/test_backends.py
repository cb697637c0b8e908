import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segsearch.errors import MissingExtraError
from segsearch.measure.backends.eager import Eager
from segsearch.measure.backends.onnx_runtime import OnnxRuntime
from segsearch.measure.backends.table import BACKENDS
from segsearch.measure.machine import DEVICES

from .networks import SIZE, Mini, state


class Bytes(nn.Module):
    """From uint8 pixels to a uint8 mask, as deployed networks are."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Mini()
        nn.init.zeros_(self.network.head.bias)  # else one class wins everywhere

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image.float() / 255).argmax(1).to(torch.uint8)


@pytest.mark.parametrize("name", BACKENDS)
class TestContract:
    def test_describes_itself(self, name):
        backend = BACKENDS[name]()
        assert backend.name == name
        assert backend.version()[0].isdecimal()
        assert set(backend.devices) <= set(DEVICES)

    def test_gives_the_output_of_the_network_again_and_again(self, name):
        network, image = Mini().eval(), torch.rand(2, 3, *SIZE)
        call = BACKENDS[name]().prepare(network, image).run
        for _ in range(2):
            torch.testing.assert_close(first(call()), network(image).detach(), rtol=1e-4, atol=1e-5)

    def test_runs_bytes_to_mask(self, name):
        network, image = Bytes().eval(), torch.randint(0, 256, (1, 3, *SIZE), dtype=torch.uint8)
        mask = first(BACKENDS[name]().prepare(network, image).run())
        assert mask.dtype == torch.uint8
        assert mask.unique().numel() > 1
        assert (mask == network(image)).float().mean() > 0.999

    def test_leaves_the_network_alone_and_says_nothing(self, name, capfd, recwarn):
        network = Mini().eval()
        before = state(network)
        BACKENDS[name]().prepare(network, torch.rand(1, 3, *SIZE)).run()
        assert state(network) == before
        assert capfd.readouterr() == ("", "")
        assert not recwarn.list


def first(output) -> Tensor:
    """The one tensor in what a backend returned."""
    output = output[0] if isinstance(output, list) else output
    return torch.from_numpy(output) if isinstance(output, np.ndarray) else output.detach()


def test_eager_builds_no_graph_of_gradients():
    output = Eager().prepare(Mini().eval(), torch.rand(1, 3, *SIZE)).run()
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


@pytest.mark.parametrize("library", ["onnxruntime", "onnxscript"])
def test_a_missing_library_names_its_extra(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"{library} is not installed: pip install 'segsearch\[export\]'"):
        OnnxRuntime().prepare(Mini().eval(), torch.rand(1, 3, *SIZE))
