import sys

import pytest

from segsearch.count.conventions import COUNTERS, others, tally
from segsearch.count.cost import count
from segsearch.errors import MissingExtraError
from tests.measure.networks import SIZE, Mini, state


def test_both_agree_with_ours_once_their_extras_are_taken_off():
    """What they count beside multiply-adds is known per element; the sentence in ``counts_what`` says the same."""
    found = {other.name: other.value for other in others(Mini().train(), SIZE)}
    counts = tally(Mini(), SIZE)
    pool_in = 8 * 96
    assert found["fvcore"] == counts.macs + 2 * counts.norm_elements + pool_in + 4 * counts.resize_output_elements
    assert found["thop"] == counts.macs + 4 * counts.norm_elements + pool_in + 8


def test_they_leave_the_network_alone_and_say_nothing(capfd, recwarn, caplog):
    network = Mini().train()
    before = state(network)
    others(network, SIZE)
    assert state(network) == before
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
    assert not caplog.records


def test_a_large_image_is_no_trouble():
    assert all(other.value > count(Mini(), (1024, 1024)).macs for other in others(Mini(), (1024, 1024)))


def test_each_says_what_it_counts_and_which_version():
    for other in others(Mini(), SIZE):
        assert other.counts_what == COUNTERS[other.name][1]
        assert other.version[0].isdecimal()


@pytest.mark.parametrize("name", COUNTERS)
def test_a_missing_library_names_its_extra(name, monkeypatch):
    for module in [m for m in sys.modules if m.split(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"{name} is not installed: pip install 'segsearch\[counters\]'"):
        others(Mini(), SIZE)
