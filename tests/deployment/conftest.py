"""One small network, deployed and exported once for all tests of the room."""

import pytest
from torch import nn

from segsearch.deployment.deploy import Deployed, deploy
from segsearch.deployment.onnx import Exported, OnnxModel, to_onnx
from tests.deployment.networks import CLASSES, COLOURS, MEAN, SIZE, STD, Small, randomized


@pytest.fixture(scope="session")
def network() -> nn.Module:
    return randomized(Small())


@pytest.fixture(scope="session")
def deployed(network: nn.Module) -> Deployed:
    return deploy(network, SIZE, MEAN, STD)


@pytest.fixture(scope="session")
def exported(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    path = tmp_path_factory.mktemp("artefact") / "model.onnx"
    notes = {"spec": "0123456789ab", "name": "small"}
    return to_onnx(deployed, path, classes=CLASSES, colours=COLOURS, metadata=notes)


@pytest.fixture(scope="session")
def model(exported: Exported) -> OnnxModel:
    return OnnxModel(exported.path, threads=1)
