import pytest

from segsearch.samplers.proposals import network_name
from tests.engine.builders import some_point


@pytest.mark.parametrize(
    ("point", "name"),
    [
        (
            {"encoder": "resnet", "encoder.resnet.depth": 18, "encoder_width": 0.75, "fusion": "fam"},
            "resnet18x0.75/fam",
        ),
        (
            {"encoder": "fpe", "encoder.fpe.p": 3, "encoder.fpe.q": 9, "encoder_width": 1.0, "fusion": "meu"},
            "fpe-p3q9/meu",
        ),
        ({"encoder": "new", "fusion": "fpn"}, "new/fpn"),
        (
            {
                "encoder": "df",
                "encoder.df.variant": "df2",
                "encoder.df.depth": 0.5,
                "encoder_width": 0.5,
                "fusion": "up",
            },
            "df2-d0.5x0.5/up",
        ),
        ({"encoder": "xception", "encoder.xception.variant": "a", "fusion": "dfa"}, "xception-a/dfa"),
        ({"encoder": "efficientnet_lite", "encoder.efficientnet_lite.variant": "lite0", "fusion": "fam"}, "lite0/fam"),
        ({"width": 3}, "network"),
    ],
)
def test_names_say_encoder_and_fusion(point: dict, name: str) -> None:
    assert network_name(point, "0123456789ab") == f"{name}#01234567"


def test_every_point_has_a_short_name() -> None:
    assert all(len(network_name(some_point(seed), "0123456789ab")) < 40 for seed in range(50))
