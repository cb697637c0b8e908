import json
from pathlib import Path

import pytest

from segsearch.errors import InputError
from segsearch.leaderboard.store import MeasuredStore

from .boards import measured, protocol


def test_what_is_added_is_read_back(tmp_path: Path) -> None:
    store, one = MeasuredStore(tmp_path, protocol()), measured("fpenet", 12.5)
    assert store.get(one.spec_id) is None and not store.path.exists()
    store.add(one)
    assert MeasuredStore(tmp_path, protocol()).get(one.spec_id) == store.get(one.spec_id) == one
    assert (one.median_ms, one.fps) == (12.5, 80.0)


def test_measurements_from_before_a_setting_was_there_go_on(tmp_path: Path) -> None:
    """A new setting has a default that does what was done before."""
    store, one = MeasuredStore(tmp_path, protocol()), measured("fpenet", 12.5)
    store.add(one)
    header, *rest = store.path.read_text().splitlines(keepends=True)
    written = json.loads(header)
    del written["protocol"]["timer"]["warmup_tolerance"]
    store.path.write_text("".join([json.dumps(written) + "\n", *rest]))
    assert MeasuredStore(tmp_path, protocol()).get(one.spec_id) == one
    written["protocol"]["timer"]["retakes"] = 99
    store.path.write_text("".join([json.dumps(written) + "\n", *rest]))
    with pytest.raises(InputError, match=r"was written with protocol\.timer\.retakes 99, not 0; move it away"):
        MeasuredStore(tmp_path, protocol())


def test_protocols_do_not_mix(tmp_path: Path) -> None:
    one = measured("fpenet", 12.5)
    MeasuredStore(tmp_path, protocol()).add(one)
    other = MeasuredStore(tmp_path, protocol(threads=2))
    assert other.get(one.spec_id) is None
    other.add(measured("fpenet", 7.0))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_network_is_kept_once(tmp_path: Path) -> None:
    store = MeasuredStore(tmp_path, protocol())
    store.add(measured("fpenet", 12.5))
    with pytest.raises(InputError, match="has network .* already"):
        store.add(measured("fpenet", 12.0))


def test_a_line_that_is_no_measurement_is_named(tmp_path: Path) -> None:
    store = MeasuredStore(tmp_path, protocol())
    store.add(measured("fpenet", 12.5))
    with store.path.open("a") as file:
        file.write('{"spec_id": "x"}\n')
    with pytest.raises(InputError, match=r"jsonl:3\.\w+: is missing"):
        MeasuredStore(tmp_path, protocol())
