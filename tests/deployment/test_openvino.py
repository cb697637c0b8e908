import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from segsearch.deployment.deploy import network_masks
from segsearch.deployment.onnx import Exported
from segsearch.deployment.openvino import OpenVinoModel, openvino, to_openvino
from segsearch.deployment.parity import agreement, prove
from segsearch.errors import InputError, MissingExtraError
from tests.deployment.networks import MEAN, SIZE, STD, pictures


@pytest.fixture(scope="module")
def written(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return to_openvino(exported.path, tmp_path_factory.mktemp("ir") / "model.xml")[0]


def test_two_files_with_weights_in_float32(written: Path, network: nn.Module) -> None:
    assert {p.name for p in written.parent.iterdir()} == {"model.xml", "model.bin"}
    floats = sum(p.numel() for p in network.encoder.parameters())
    assert written.with_suffix(".bin").stat().st_size > 4 * floats, "halved weights would be smaller"


def test_it_is_proven_in_float32(written: Path, network: nn.Module) -> None:
    model = OpenVinoModel(written, threads=1)
    assert (model.precision, model.size_hw) == ("f32", SIZE)
    prove(agreement(network_masks(network, MEAN, STD), model.predict, pictures(2)))


def test_masks_of_earlier_calls_stay(written: Path) -> None:
    model, (first, second) = OpenVinoModel(written, threads=1), pictures(2)
    mask = model.predict(first)
    kept = mask.copy()
    model.predict(second)
    assert np.array_equal(mask, kept)


def test_the_precision_of_its_own_choice_is_known(written: Path) -> None:
    assert OpenVinoModel(written, threads=1, precision=None).precision in {"f32", "bf16", "f16"}


def test_importing_looks_nothing_up_and_writes_nothing(tmp_path: Path) -> None:
    """In a process of its own, with a home folder of its own, and with every look-up noted."""
    code = """if True:
        import socket, sys, time
        looked = []
        socket.getaddrinfo = lambda *host, **_: looked.append(host) or []
        from segsearch.deployment.openvino import core
        runtime = core()
        time.sleep(0.5)  # it would be sent by a thread
        assert runtime.available_devices and not looked, looked
        assert "openvino_telemetry" not in sys.modules
        assert "openvino.tools.ovc.telemetry_stub" in sys.modules, "it has another way now"
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


def test_ctrl_c_is_safe_after_models_went_on_another_thread(written: Path) -> None:
    code = """if True:
        import faulthandler, os, signal, sys, threading
        from pathlib import Path
        from segsearch.deployment.openvino import OpenVinoModel
        faulthandler.enable()
        models = [OpenVinoModel(Path(sys.argv[1]), threads=1) for _ in range(2)]
        drop = threading.Thread(target=models.clear)
        drop.start()
        drop.join()
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            print("interrupted")
    """
    done = subprocess.run([sys.executable, "-c", code, written], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"openvino is not installed: pip install 'segsearch\[openvino\]'"):
        openvino()
    assert "openvino_telemetry" not in sys.modules


def test_damage_is_one_line(written: Path, exported: Exported, tmp_path: Path) -> None:
    (tmp_path / "cut.xml").write_text(written.read_text()[:500])
    (tmp_path / "cut.onnx").write_bytes(exported.path.read_bytes()[:500])
    for call, message in (
        (lambda: OpenVinoModel(tmp_path / "cut.xml"), "cannot be loaded by OpenVINO"),
        (lambda: OpenVinoModel(tmp_path / "absent.xml"), "there is no such file"),
        (lambda: to_openvino(tmp_path / "cut.onnx", tmp_path / "model.xml"), "OpenVINO cannot read it"),
        (lambda: to_openvino(exported.path, tmp_path / "absent" / "model.xml"), "cannot be written: .*No such file"),
    ):
        with pytest.raises(InputError, match=message) as error:
            call()
        assert "\n" not in str(error.value)
    assert {p.name for p in tmp_path.iterdir()} == {"cut.xml", "cut.onnx"}
