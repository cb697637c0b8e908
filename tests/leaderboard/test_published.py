import pytest

from segsearch.leaderboard.board import device_and_runtime, miou_row, same_size, speed_row, speed_rows
from segsearch.space.points import Published, named_point, named_points


@pytest.mark.parametrize(
    ("name", "size_hw", "printed"),
    [
        ("sfnet_r18", (1024, 2048), "26"),  # TensorRT's, which is higher than PyTorch's 18
        ("sfnet_r18", (360, 480), "45.2"),
        ("sgcpnet1", (512, 1024), "349.9"),
        ("sgcpnet1", (64, 128), "731.3"),
        ("dfanet_a", (1024, 2048), "100"),
        ("fpenet_512x1024", (1024, 2048), "102"),
    ],
)
def test_the_nearest_size_is_shown(name: str, size_hw: tuple[int, int], printed: str) -> None:
    row = speed_row(named_point(name), size_hw)
    assert row is not None and row.printed == printed


def test_a_point_without_a_printed_speed_has_none() -> None:
    point = named_point("eseg_s_p5")
    assert speed_rows(point) == () and speed_row(point, (64, 64)) is None


def test_a_size_seen_after_scaling_is_the_same_size() -> None:
    scaled, plain = named_point("fpenet_512x1024"), named_point("fpenet")
    row = speed_rows(scaled)[0]
    assert row.size == (512, 1024)
    assert same_size(scaled, row, (1024, 2048)) and same_size(plain, row, (512, 1024))
    assert not same_size(plain, row, (1024, 2048))


def test_miou_of_cityscapes_val_first() -> None:
    row = miou_row(named_point("sfnet_r18"), (1024, 2048))
    assert row is not None and (row.printed, row.split) == ("78.7", "val")
    test_only = miou_row(named_point("sgcpnet2"), (1024, 2048))
    assert test_only is not None and test_only.split == "test"


def test_device_and_runtime() -> None:
    def split(device: str | None) -> tuple[str, str]:
        return device_and_runtime(Published(metric="fps", printed="1", where="w", device=device))

    assert split("GTX 1080Ti, TensorRT") == ("GTX 1080Ti", "TensorRT")
    assert split("Titan X") == ("Titan X", "not said")
    assert split(None) == ("not said", "not said")


def test_every_printed_speed_names_device_and_size() -> None:
    """Otherwise it would be left out of every comparison without a word."""
    rows = [r for p in named_points().values() for r in p.published if r.metric == "fps"]
    assert rows and all(r.device and r.size for r in rows)
