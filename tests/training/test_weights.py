from pathlib import Path

import pytest
import torch

from segsearch.errors import InputError
from segsearch.models.network import build
from segsearch.space.points import named_point
from segsearch.training.weights import WeightFacts, load_weights, save_weights, start_with

from .toys import same_weights, tiny

FACTS = WeightFacts(point="mine", spec="abc", classes=("road", "the sky"), release="paper.pth", step=7, miou=0.1 + 0.2)


@pytest.mark.parametrize("facts", [FACTS, WeightFacts(), WeightFacts(classes=("one",), step=0, miou=0.0)])
def test_round_trip_with_facts(tmp_path: Path, facts: WeightFacts) -> None:
    path, one, other = tmp_path / "w.safetensors", tiny(0), tiny(1)
    one.body[1].running_mean.add_(3)
    save_weights(one, path, facts)
    assert not same_weights(one, other)
    assert load_weights(other, path) == facts
    assert same_weights(one, other)


def test_facts_of_earlier_versions_and_of_other_programs() -> None:
    before = {"point": "a", "spec": "abc", "classes": "road\nsky", "step": "7", "miou": "0.5"}
    assert WeightFacts.read(before) == WeightFacts(point="a", spec="abc", classes=("road", "sky"), step=7, miou=0.5)
    assert WeightFacts.read({"point": "a", "id": "abc", "classes": "19"}) == WeightFacts(point="a", spec="abc")
    for others in (
        {"format": "pt"},
        {"step": "7"},
        {"step": "many", "miou": "high"},
        {"segsearch": "no JSON"},
        {"segsearch": "[1]"},
    ):
        assert WeightFacts.read(others) == WeightFacts()


def test_the_same_weights_and_facts_are_the_same_bytes(tmp_path: Path) -> None:
    for name in "abcdef":
        save_weights(tiny(0), tmp_path / name, FACTS)
    assert len({(tmp_path / name).read_bytes() for name in "abcdef"}) == 1


def test_weights_of_another_network_with_the_same_tensors_are_told(tmp_path: Path) -> None:
    path, half, whole = tmp_path / "w.safetensors", *(build(named_point(f"sgcpnet{n}").spec) for n in (2, 1))
    save_weights(half, path)
    assert load_weights(half, path).foreign_to(half) is None and start_with(half, path, (), reset_head=True) == []
    told = load_weights(whole, path).foreign_to(whole)
    assert told is not None and f"(spec {half.spec.id}, not {whole.spec.id})" in told
    assert start_with(whole, path, (), reset_head=True) == [told]
    assert WeightFacts().foreign_to(whole) is None, "a file that does not say"
    save_weights(half, path, WeightFacts(classes=("not", "nineteen")))
    assert load_weights(half, path).classes == (), "names that are not of these weights"


def test_channels_last_and_shared_tensors_are_fine(tmp_path: Path) -> None:
    path, one, other = tmp_path / "w.safetensors", tiny(0), tiny(1)
    one.to(memory_format=torch.channels_last)
    one.body[4].weight = one.body[1].weight
    save_weights(one, path)
    assert load_weights(other, path) == WeightFacts()
    assert same_weights(one, other)


def test_training_only_heads_are_left_out(tmp_path: Path) -> None:
    path, trained, deployed = tmp_path / "w.safetensors", tiny(0, auxiliary=True), tiny(1)
    save_weights(trained, path)
    load_weights(deployed, path)
    assert torch.equal(deployed.head.weight, trained.head.weight)


def test_another_network_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path, other = tmp_path / "w.safetensors", tiny(1)
    for foreign, said in (
        (tiny(0, width=4), "shapes body.0.weight (4, 3, 3, 3) instead of (8, 3, 3, 3), "),
        (tiny(0, width=4), " and 8 more"),
        (
            tiny(0).body,
            "missing body.0.weight, body.1.bias, body.1.num_batches_tracked and 11 more; unexpected 0.weight, ",
        ),
    ):
        save_weights(foreign, path)
        with pytest.raises(InputError) as refusal:
            load_weights(other, path)
        line = str(refusal.value)
        assert line.startswith(f"{path}: does not fit the network: ") and said in line and "\n" not in line
    assert same_weights(other, tiny(1))


def test_a_file_without_the_auxiliary_heads_does_not_fill_them(tmp_path: Path) -> None:
    save_weights(tiny(0), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"missing auxiliary\.0\.bias, auxiliary\.0\.weight$"):
        load_weights(tiny(0, auxiliary=True), tmp_path / "w.safetensors")


def test_unreadable_files(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(InputError, match="cannot be read"):
        load_weights(tiny(), path)
    save_weights(tiny(), path)
    whole = path.read_bytes()
    for content in (b"", b"hello there", whole[:100], whole[:-1], whole + b"x"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is not a safetensors file") as refusal:
            load_weights(tiny(), path)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    network = tiny()
    next(iter(network.state_dict().values())).view(-1)[0] = value
    save_weights(network, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"w.safetensors: holds NaN or infinite values: "):
        load_weights(tiny(), tmp_path / "w.safetensors")


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save_weights(tiny(), tmp_path / "file" / "w.safetensors")
