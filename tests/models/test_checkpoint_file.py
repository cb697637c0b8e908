"""Checkpoints of others: read without running code, whatever is wrapped around the tensors, and never beyond their size."""

import argparse
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from segsearch.errors import InputError
from segsearch.models.checkpoint_file import read_checkpoint, states
from segsearch.models.encoder import Encoder
from segsearch.models.pretrained import check_fits, fill
from segsearch.spec.encoder import EncoderSpec, StageSpec, StemSpec

TINY = EncoderSpec(
    stem=StemSpec(widths=(4,), strides=(2,)), stages=(StageSpec(block="conv", depth=2, width=8, stride=2),)
)


def ours(prefix: str = "encoder.") -> dict[str, Tensor]:
    return {f"{prefix}{name}": torch.full_like(tensor, 2) for name, tensor in Encoder(TINY).state_dict().items()}


def saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize("nest", ["", "state_dict", "model_state_dict", "net", "model/state_dict", "a/b/c/d/e"])
@pytest.mark.parametrize("wrapper", ["", "module.", "_orig_mod.", "module._orig_mod.model.", "net.backbone.", "x.y.z."])
def test_nests_and_wrappers_are_taken_off_until_the_names_fit(nest: str, wrapper: str, tmp_path: Path) -> None:
    content: dict[Any, Any] = {f"{wrapper}{name}": tensor for name, tensor in ours().items()}
    content |= {"decode_head.weight": torch.ones(3), "epochs": torch.ones(())}
    for key in reversed(nest.split("/")) if nest else ():
        content = {key: content, "epoch": 1, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}, "lr": 0.1}}
    encoder = Encoder(TINY)
    assert fill(encoder, read_checkpoint(saved(content, tmp_path / "x.pth")))
    assert {p.unique().item() for p in encoder.parameters()} == {2.0}


def test_an_average_is_taken_only_where_it_alone_fits() -> None:
    plain, averaged = ours(), {name: tensor * 2 for name, tensor in ours().items()}
    for content, value in (
        ({"model_ema": {"module": averaged}, "model": plain}, 2.0),
        ({"model_ema": {"module": averaged}, "model": {"other.weight": torch.ones(1)}}, 4.0),
    ):
        encoder = Encoder(TINY)
        assert fill(encoder, content)
        assert {p.unique().item() for p in encoder.parameters()} == {value}


def test_the_rest_keeps_its_names() -> None:
    content = {"module.a.w": torch.ones(1), "module.b": torch.ones(1), "head": torch.ones(1)}
    assert [set(state) for state in states(content)][:2] == [set(content), {"a.w", "b"}]
    assert {"a.w", "b", "head"} in [set(state) for state in states(content, rest=True)]


def test_a_cycle_and_a_long_name_end(tmp_path: Path) -> None:
    content: dict[Any, Any] = {"a." * 10_000: torch.ones(1), **{f"w{i}": torch.ones(1) for i in range(8)}}
    content |= {f"again{i}": content for i in range(20)}
    assert len(list(states(read_checkpoint(saved(content, tmp_path / "x.pth"))))) <= 64


def test_safetensors(tmp_path: Path) -> None:
    save_file(ours("module.encoder."), tmp_path / "x.safetensors")
    assert fill(Encoder(TINY), read_checkpoint(tmp_path / "x.safetensors"))


@pytest.mark.parametrize(
    "beside",
    [np.float64(0.5), np.int64(3), np.float32(1), np.bool_(True), np.arange(3), np.dtype("float32"), [np.float64(1)]],
    ids=repr,
)
def test_numbers_of_numpy_beside_the_tensors_are_passed_over(beside: object, tmp_path: Path) -> None:
    assert fill(Encoder(TINY), read_checkpoint(saved({"model": ours(), "best": beside}, tmp_path / "x.pth")))


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_newer_pickle_is_refused_in_one_line(protocol: int, tmp_path: Path) -> None:
    torch.save({"model": ours()}, tmp_path / "x.pth", pickle_protocol=protocol)
    with pytest.raises(InputError, match="Unsupported operand 149 .a pickle protocol that torch.save does not use"):
        read_checkpoint(tmp_path / "x.pth")


@pytest.mark.parametrize("nest", [None, "model", "state_dict"])
@pytest.mark.parametrize("old", [False, True], ids=["zip", "legacy"])
def test_another_programs_object_is_named_with_the_cure(nest: str | None, old: bool, tmp_path: Path) -> None:
    path, content = tmp_path / "x.pth", {"args": argparse.Namespace(lr=0.1)} | ({nest: ours()} if nest else ours())
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    with pytest.raises(InputError) as refusal:
        read_checkpoint(path)
    line = str(refusal.value)
    assert (
        line.startswith(f"{path}: holds argparse.Namespace, which can only be read by running code; ")
        and "\n" not in line
    )
    if old:
        return
    code = line.partition('python -c "')[2].removesuffix('"')
    exec(code)  # what the line tells a person to run
    assert fill(Encoder(TINY), read_checkpoint(tmp_path / "x_tensors.pth"))


class Trap:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path("trapped").touch, ())


class Command:
    def __reduce__(self) -> tuple[object, ...]:
        import os

        return (os.system, ("touch trapped",))


@pytest.mark.parametrize("trap", [Trap, Command])
@pytest.mark.parametrize("form", ["pickle", "zip", "legacy"])
def test_code_in_a_file_is_not_run(trap: type, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path, content = tmp_path / "x.pth", {"a": trap(), "model": ours()}
    if form == "pickle":
        path.write_bytes(pickle.dumps(OrderedDict(a=trap())))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    told = (
        "Unsupported operand"
        if form == "pickle"
        else r"x\.pth: holds (getattr|posix\.system), which weights never need"
    )
    with pytest.raises(InputError, match=told) as refusal:
        read_checkpoint(path)
    assert "python -c" not in str(refusal.value)
    assert not (tmp_path / "trapped").exists()


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_checkpoint(tmp_path / "nope.pth")
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="is not a safetensors file"):
        read_checkpoint(tmp_path / "bad.safetensors")
    for content in (b"", b"nonsense", b"PK\x03\x04nonsense", saved(ours(), tmp_path / "x.pth").read_bytes()[:-100]):
        (tmp_path / "bad.pth").write_bytes(content)
        with pytest.raises(InputError, match="is not a file of plain tensors: ") as refusal:
            read_checkpoint(tmp_path / "bad.pth")
        assert "\n" not in str(refusal.value)
    for empty in ({"epoch": 3}, [torch.ones(1)], torch.ones(1), {1: torch.ones(1)}):
        with pytest.raises(InputError, match="holds no named tensors"):
            read_checkpoint(saved(empty, tmp_path / "bad.pth"))


def test_an_archive_that_unpacks_to_far_more_is_not_unpacked(tmp_path: Path) -> None:
    whole, bomb = saved({"w": torch.zeros(1_000_000)}, tmp_path / "x.pth"), tmp_path / "bomb.pth"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(InputError, match=r"bomb\.pth: is 0\.0 MB and unpacks to 4 MB; it is not read"):
        read_checkpoint(bomb)


def test_a_tensor_larger_than_its_file_is_refused(tmp_path: Path) -> None:
    path = saved({"head.classify.weight": torch.ones(1).expand(10**9, 8)}, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"a tensor of shape \(1000000000, 8\), larger than the file itself"):
        read_checkpoint(path)
    for tensor in (torch.empty(10**9, device="meta"), torch.ones(2, 2).to_sparse()):
        with pytest.raises(InputError, match="sparse, quantised or without numbers"):
            read_checkpoint(saved({"w": tensor}, tmp_path / "x.pth"))
    header = b'{"w":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}'
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"1234")
    (tmp_path / "y.safetensors").write_bytes(struct.pack("<Q", 2**62) + header)
    for name in ("x.safetensors", "y.safetensors"):
        with pytest.raises(InputError, match="is not a safetensors file"):
            read_checkpoint(tmp_path / name)


def test_a_file_fits_an_encoder_of_a_study_or_is_refused(tmp_path: Path) -> None:
    path = saved({"model": ours("module.encoder.")}, tmp_path / "x.pth")
    others = [
        TINY.model_copy(update={"stem": StemSpec(widths=(6,), strides=(2,))}),
        TINY.model_copy(update={"stages": (TINY.stages[0].model_copy(update={"depth": 1}),)}),
        TINY.model_copy(update={"stages": (TINY.stages[0].model_copy(update={"width": 16}),)}),
        TINY.model_copy(update={"stages": (TINY.stages[0], *TINY.stages)}),
    ]
    for encoder in others:
        assert not fill(Encoder(encoder), read_checkpoint(path))
    with pytest.raises(InputError, match=r"recipe\.pretrained: .*x\.pth fits no encoder that this study can try"):
        check_fits(path, others)
    check_fits(path, [*others, TINY])
    strided = TINY.model_copy(update={"stages": (TINY.stages[0].model_copy(update={"dilations": (2,)}),)})
    check_fits(path, [*others, strided])
