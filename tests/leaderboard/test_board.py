from pathlib import Path

import pytest

from segsearch.leaderboard.board import agreement

from .boards import board, every_point, protocol

SFNETS = {"sfnet_r18": 50.0, "sfnet_df1": 20.0, "sfnet_df2": 30.0}


def test_fastest_first(tmp_path: Path) -> None:
    made = board(tmp_path, SFNETS)
    assert [entry.point.name for entry in made.entries] == ["sfnet_df1", "sfnet_df2", "sfnet_r18"]
    assert made.overall.tau == 1.0, "table 6 prints this order"


def test_groups_share_device_runtime_and_size(tmp_path: Path) -> None:
    made = board(tmp_path, SFNETS | {"sfnet_df2_no_fam": 10.0, "dfanet_a": 5.0})
    titles = {order.title: [s.name for s in order.speeds] for order in made.by_group}
    assert titles == {
        "GTX 1080Ti, runtime PyTorch, 1024x2048": ["sfnet_df1", "sfnet_df2", "sfnet_r18"],
        "GTX 1080Ti, runtime TensorRT, 1024x2048": ["sfnet_df1", "sfnet_df2", "sfnet_r18"],
        "GTX 1080Ti, runtime not said, 360x480": ["sfnet_df2_no_fam", "sfnet_df2", "sfnet_r18"],
    }
    assert [order.title for order in made.by_paper] == ["sfnet"]


def test_a_swap_is_found(tmp_path: Path) -> None:
    made = board(tmp_path, {"sfnet_df1": 40.0, "sfnet_df2": 30.0})
    (swap,) = made.by_group[0].swaps
    assert (swap.faster.name, swap.slower.name) == ("sfnet_df1", "sfnet_df2")
    assert swap.published_ratio == pytest.approx(74 / 53)
    assert swap.measured_ratio == pytest.approx(30 / 40)


def test_points_without_a_printed_speed_are_in_no_order(tmp_path: Path) -> None:
    made = board(tmp_path, {"eseg_s_p5": 1.0, "eseg_s_p7": 2.0})
    assert len(made.entries) == 2
    assert made.overall.speeds == () and made.overall.tau is None
    assert made.by_paper == made.by_group == ()


def test_this_size_alone(tmp_path: Path) -> None:
    made = every_point(tmp_path)
    mixed, alone = ({s.name for s in order.speeds} for order in (made.overall, made.at_this_size))
    assert {"sfnet_r18", "eseg_lite_s", "sgcpnet1", "fpenet_512x1024"} <= alone < mixed
    assert "dfanet_a" in mixed - alone


def test_two_backends(tmp_path: Path) -> None:
    left = board(tmp_path, SFNETS)
    same = board(tmp_path, {name: 2 * ms for name, ms in SFNETS.items()}, backend="onnxruntime")
    found = agreement(left, same)
    assert (found.networks, found.tau, found.ratio) == (3, 1.0, pytest.approx(2))
    turned = board(tmp_path, {name: 1000 / ms for name, ms in SFNETS.items()}, backend="x")
    assert agreement(left, turned).tau == -1.0
    nothing = agreement(left, board(tmp_path, {"fpenet": 1.0}, backend="y"))
    assert (nothing.networks, nothing.tau, nothing.ratio) == (0, None, None)
    assert protocol().backend == "eager"
