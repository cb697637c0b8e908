import hashlib
from pathlib import Path

import pytest
import torch
from torch import nn

import segsearch
from segsearch.deployment.deploy import Deployed, network_masks
from segsearch.deployment.parity import agreement, prove
from segsearch.deployment.program import Program, to_program
from segsearch.errors import InputError
from tests.deployment.networks import MEAN, STD, pictures


@pytest.fixture(scope="module")
def written(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("program") / "model.pt2"
    return path, to_program(deployed, path)


def test_it_is_proven(written: tuple[Path, str], network: nn.Module) -> None:
    prove(agreement(network_masks(network, MEAN, STD), Program(*written).predict, pictures(2)))


def test_the_checksum_is_the_files(written: tuple[Path, str], deployed: Deployed, tmp_path: Path) -> None:
    path, sha256 = written
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    assert to_program(deployed, tmp_path / "again.pt2") == sha256, "the same network gives the same bytes"


def test_torch_runs_it_without_our_code(written: tuple[Path, str], deployed: Deployed) -> None:
    image = torch.from_numpy(pictures(1)[0]).permute(2, 0, 1)[None].contiguous()
    assert torch.equal(torch.export.load(written[0]).module()(image), deployed(image))


def test_nothing_of_the_exporting_machine_is_in_the_file(written: tuple[Path, str]) -> None:
    for trail in (str(Path(segsearch.__file__).parent), "site-packages", str(Path(__file__).parent)):
        assert trail.encode() not in written[0].read_bytes()


def test_a_file_of_others_is_never_unpickled(written: tuple[Path, str], tmp_path: Path) -> None:
    """The content is compared with the checksum before torch sees it: here torch would run the code inside."""
    path = tmp_path / "model.pt2"
    torch.save(Trap(tmp_path / "ran"), path)
    with pytest.raises(InputError, match="is not the file that was written") as error:
        Program(path, written[1])
    assert "\n" not in str(error.value) and not (tmp_path / "ran").exists()
    with pytest.raises(InputError, match="cannot be read"):
        Program(tmp_path / "absent.pt2", written[1])


class Trap:
    """Unpickling it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))
