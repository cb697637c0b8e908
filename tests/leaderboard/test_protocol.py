import pytest
import torch

from segsearch.errors import DeviceError, InputError
from segsearch.leaderboard.protocol import MeasuringProtocol, settle
from segsearch.measure.timer import TimerSettings

from .boards import protocol


def test_what_is_not_said_is_filled_in() -> None:
    settled = settle((64, 128))
    assert (settled.backend, settled.precision, settled.device) == ("eager", "float32", "cpu")
    assert settled.threads == torch.get_num_threads()
    assert settled.backend_version == settled.torch == str(torch.__version__)
    assert MeasuringProtocol.parse(settled.model_dump(mode="json"), "p") == settled


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"backend": "tvm"}, InputError, "backend: 'tvm' is not known"),
        ({"device": "tpu"}, InputError, "device: 'tpu' is not known"),
        ({"device": "cuda:99"}, DeviceError, "cuda:99 is not here"),
        ({"precision": "float3"}, InputError, r"precision: .*'float3'"),
    ],
)
def test_what_cannot_be_is_one_line(asked: dict[str, str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        settle((64, 128), **asked)


@pytest.mark.parametrize(
    "change",
    [
        {"size_hw": (64, 64)},
        {"classes": 11},
        {"device_name": "another"},
        {"backend": "onnxruntime"},
        {"backend_version": "1"},
        {"torch": "1"},
        {"driver": "1"},
        {"precision": "float16"},
        {"threads": 2},
        {"timer": TimerSettings()},
        {"version": 0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_a_latency_is_another_file(change: dict[str, object]) -> None:
    assert protocol(**change).words != protocol().words


def test_words_are_a_file_name() -> None:
    words = protocol(device="cuda:1", threads=2).words
    assert words.startswith("1024x2048-cuda1-eager-float32-2threads-")
    assert not set(words) & set("/: ")
