import os
import threading

import pytest

from segsearch.measure.affinity import choose, pinned

ALLOWED = tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()

needs_several = pytest.mark.skipif(len(ALLOWED) < 2, reason="nothing to choose: one processor, or no affinity here")


@pytest.fixture
def system(tmp_path):
    """Write what Linux tells of processors: per number its core's siblings, and how quick it is."""

    def write(cores, speeds=()):
        for core in cores:
            for number in core:
                (folder := tmp_path / f"cpu{number}" / "topology").mkdir(parents=True)
                folder.joinpath("thread_siblings_list").write_text(",".join(map(str, core)) + "\n")
        for number, speed in dict(speeds).items():
            tmp_path.joinpath(f"cpu{number}", "cpu_capacity").write_text(f"{speed}\n")
        return tmp_path

    return write


def test_the_last_ones_among_equals(system):
    assert choose(range(4), 2, system([[0], [1], [2], [3]])) == (2, 3)


@pytest.mark.parametrize("cores", [[[0, 4], [1, 5], [2, 6], [3, 7]], [[0, 1], [2, 3], [4, 5], [6, 7]]])
def test_no_two_of_one_core_before_there_is_one_of_each(system, cores):
    folder = system(cores)
    chosen = choose(range(8), 4, folder)
    assert all(len(set(core) & set(chosen)) == 1 for core in cores)
    assert len(set(choose(range(8), 5, folder))) == 5


def test_a_sibling_that_may_not_be_used_takes_nothing_away(system):
    assert choose((0, 2), 2, system([[0, 1], [2, 3]])) == (0, 2)


def test_quick_cores_before_slow_ones(system):
    folder = system([[0], [1], [2], [3]], {0: 1024, 1: 1024, 2: 400, 3: 400})
    assert choose(range(4), 1, folder) == (1,)
    assert choose(range(4), 2, folder) == (0, 1)
    assert choose(range(4), 3, folder) == (0, 1, 3)


@pytest.mark.parametrize("nonsense", ["", "x", "0-", "-3", "1-x,2", "é"])
def test_a_system_that_tells_nonsense_tells_nothing(tmp_path, nonsense):
    (folder := tmp_path / "cpu1" / "topology").mkdir(parents=True)
    folder.joinpath("thread_siblings_list").write_text(nonsense)
    folder.parent.joinpath("cpu_capacity").write_text(nonsense)
    assert choose(range(3), 1, tmp_path) == (2,)
    assert choose(range(3), 1, tmp_path / "nowhere") == (2,)


@needs_several
def test_all_threads_are_held_and_go_free_again():
    masks, go, done = {}, threading.Event(), threading.Event()

    def watch():
        done.wait(20)

    def born_inside():
        masks["inside"] = os.sched_getaffinity(0)
        go.wait(20)
        masks["after"] = os.sched_getaffinity(0)

    before = threading.Thread(target=watch)
    before.start()
    assert before.native_id is not None
    with pinned(1) as (processors, hold):
        young = threading.Thread(target=born_inside)
        young.start()
        hold()
        assert processors is not None and len(processors) == 1
        assert os.sched_getaffinity(before.native_id) == os.sched_getaffinity(0) == set(processors)
    assert os.sched_getaffinity(before.native_id) == os.sched_getaffinity(0) == set(ALLOWED)
    go.set()
    done.set()
    young.join()
    before.join()
    assert masks["inside"] == set(processors) and masks["after"] == set(ALLOWED)


@needs_several
def test_a_thread_that_strays_is_fetched_back():
    with pinned(1) as (processors, hold):
        os.sched_setaffinity(0, ALLOWED)
        hold()
        assert processors is not None and os.sched_getaffinity(0) == set(processors)


@needs_several
def test_an_error_inside_lets_go_too():
    with pytest.raises(ZeroDivisionError), pinned(1):
        1 // 0  # noqa: B018
    assert os.sched_getaffinity(0) == set(ALLOWED)


@needs_several
def test_what_was_allowed_before_stays_the_limit():
    os.sched_setaffinity(0, ALLOWED[:1])
    try:
        with pinned(1) as (processors, _):
            assert processors is None  # no choice is left
        assert os.sched_getaffinity(0) == set(ALLOWED[:1])
    finally:
        os.sched_setaffinity(0, ALLOWED)


@pytest.mark.parametrize("threads", [0, max(1, len(ALLOWED)), 4096])
def test_nothing_is_held_where_there_is_no_choice(threads):
    with pinned(threads) as (processors, hold):
        hold()
        assert processors is None
        assert not ALLOWED or os.sched_getaffinity(0) == set(ALLOWED)
