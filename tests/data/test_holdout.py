import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segsearch.data.camvid import hold_out
from segsearch.data.config import Holdout
from segsearch.errors import InputError


def names(counts: list[int]) -> list[str]:
    return [f"seq{s}_{30 * k}" for s, count in enumerate(counts) for k in range(count)]


@given(
    st.lists(st.integers(5, 60), min_size=1, max_size=4),
    st.integers(2, 5),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_blocks_are_contiguous_apart_and_cover_everything(
    counts: list[int], blocks: int, gap: int, rng: random.Random
) -> None:
    frames = names(counts)
    rng.shuffle(frames)
    seen: list[int] = []
    for fold in range(blocks):
        try:
            train, val = hold_out(frames, Holdout(blocks=blocks, fold=fold, gap=gap), "x")
        except InputError:
            assert gap > 0
            return
        assert not set(train) & set(val)
        seen += val
        number = {i: int(frames[i].split("_")[1]) // 30 for i in range(len(frames))}
        for s in range(len(counts)):
            held = sorted(number[i] for i in val if frames[i].startswith(f"seq{s}_"))
            learnt = {number[i] for i in train if frames[i].startswith(f"seq{s}_")}
            assert held == list(range(held[0], held[-1] + 1))
            kept_away = set(range(held[0] - gap, held[-1] + gap + 1))
            assert learnt == set(range(counts[s])) - kept_away
    assert sorted(seen) == list(range(len(frames)))


def test_frames_are_ordered_by_number_not_by_text() -> None:
    frames = [f"s_{k}" for k in (8, 9, 10, 11, 100, 1000)]
    _, val = hold_out(frames, Holdout(blocks=3, fold=1, gap=0), "x")
    assert [frames[i] for i in val] == ["s_10", "s_11"]


def test_prefixes_with_underscores_and_letters_before_the_number() -> None:
    frames = [f"Seq05_VD_f{k:05}" for k in range(10)]
    train, val = hold_out(frames, Holdout(blocks=5, fold=4, gap=1), "x")
    assert (train, val) == ([0, 1, 2, 3, 4, 5, 6], [8, 9])


def test_a_name_without_number_is_refused() -> None:
    with pytest.raises(InputError, match=r"^train: 'photo' does not end in _ and a frame number"):
        hold_out(["a_1", "photo"], Holdout(), "train")


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(InputError, match="leave none to train on"):
        hold_out(names([6]), Holdout(blocks=2, fold=0, gap=5), "x")
    with pytest.raises(InputError, match="leave none to validate on"):
        hold_out(["a_1", "b_1"], Holdout(blocks=5, fold=0), "x")


def test_a_sequence_too_short_for_a_block_is_learnt_from_whole() -> None:
    train, val = hold_out([*names([10]), "short_1", "short_2"], Holdout(blocks=5, fold=0, gap=2), "x")
    assert val == [0, 1] and train == [4, 5, 6, 7, 8, 9, 10, 11]
