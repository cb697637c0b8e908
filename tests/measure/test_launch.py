import pytest
from search.builders import latency

from segsearch.errors import InputError
from segsearch.measure.launch import launching


@pytest.mark.parametrize(("eager_ms", "bound"), [(1.3, False), (1.31, True), (0.9, False)])
def test_more_than_a_third_slower_is_launch_bound(eager_ms, bound):
    found = launching(latency(eager_ms), latency(1.0))
    assert found.ratio == pytest.approx(eager_ms) and found.bound == bound


def test_records_of_two_networks_do_not_compare():
    with pytest.raises(InputError) as error:
        launching(latency(1.0), latency(1.0).model_copy(update={"size_hw": (64, 96)}))
    assert (
        str(error.value) == "record.size_hw: (32, 48) and (64, 96) do not compare (allowed: two records of one network)"
    )
