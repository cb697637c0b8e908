import json

import pytest
from pydantic import BaseModel

from segsearch.data.config import CONFIGS, CamVidData, DataSpec, FolderData, Holdout, StreetsData, parse_data
from segsearch.errors import InputError
from segsearch.frozen import Frozen

NAMES = ", ".join(CONFIGS)


class Study(Frozen):
    data: DataSpec


def test_the_name_chooses_the_kind() -> None:
    assert parse_data({"name": "streets", "train": 10}, "s.yaml") == StreetsData(train=10)
    assert parse_data({"name": "camvid", "root": "x", "holdout": {"fold": 2}}, "s.yaml") == CamVidData(
        root="x", holdout=Holdout(fold=2)
    )
    assert parse_data({"name": "folder", "root": "x", "size": [32, 64]}, "s.yaml") == FolderData(
        root="x", size=(32, 64)
    )
    assert Study.parse({"data": {"name": "streets"}}, "s").data == StreetsData()


def test_a_size_may_be_written_as_options_take_it() -> None:
    assert parse_data({"name": "folder", "root": "x", "size": "32x64"}, "s") == FolderData(root="x", size=(32, 64))
    with pytest.raises(InputError, match=r"s\.size: '32' is not a size \(allowed: \[HEIGHT, WIDTH\] or HEIGHTxWIDTH"):
        parse_data({"name": "folder", "root": "x", "size": "32"}, "s")
    with pytest.raises(InputError, match=r"s\.size\[0\]: should be greater than or equal to 16, got 8"):
        parse_data({"name": "folder", "root": "x", "size": "8x64"}, "s")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (
            {"name": "camvd"},
            f"s.data.name: 'camvd' is not known, did you mean 'camvid'? (allowed: {NAMES})",
        ),
        ({"size": [64, 64]}, f"s.data.name: is missing (allowed: {NAMES})"),
        ({"name": ["streets"]}, f"s.data.name: ['streets'] is not known (allowed: {NAMES})"),
        ("streets", "s.data: must be a mapping of keys to values, got str"),
        ({"name": "camvid"}, "s.data.root: is missing"),
        ({"name": "folder", "root": "a"}, "s.data.size: is missing"),
        ({"name": "streets", "trian": 3}, "s.data.trian: unknown key, did you mean 'train'?"),
        ({"name": "streets", "size": [64]}, "s.data.size"),
        ({"name": "streets", "size": [64, 4]}, "s.data.size[1]: should be greater than or equal to 16, got 4"),
        ({"name": "streets", "train": 0}, "s.data.train: should be greater than or equal to 1, got 0"),
        ({"name": "streets", "seed": -1}, "s.data.seed: should be greater than or equal to 0, got -1"),
        ({"name": "camvid", "root": "x", "holdout": {"fold": 5}}, "fold < blocks must hold, but got fold=5, blocks=5"),
        ({"name": "cityscapes"}, "s.data.root: is missing"),
        ({"name": "mapillary", "root": "x", "version": 2.0}, "s.data.version: 2.0 is not known"),
    ],
)
def test_refusals_are_one_clear_line(data: object, line: str) -> None:
    with pytest.raises(InputError) as error:
        parse_data(data, "s.data")
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_the_name_is_part_of_the_id_though_it_is_a_default() -> None:
    assert json.loads(StreetsData().canonical()) == {"name": "streets"}
    assert json.loads(Study(data=StreetsData(train=3)).canonical()) == {"data": {"name": "streets", "train": 3}}
    twins: list[BaseModel] = [CamVidData(root="x", size=(32, 64)), FolderData(root="x", size=(32, 64))]
    assert len({twin.id for twin in twins if isinstance(twin, Frozen)}) == 2


def test_what_is_written_can_be_read_again() -> None:
    config = CamVidData(root="x", size=(64, 96), holdout=Holdout(fold=1, gap=0))
    assert parse_data(json.loads(config.canonical()), "s") == config
    assert parse_data(json.loads(config.model_dump_json()), "s") == config
