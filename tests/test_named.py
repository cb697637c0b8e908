"""What a word names, for commands and calls alike."""

from pathlib import Path

import pytest

from segsearch.errors import InputError
from segsearch.named import kind_of, trial_of


def test_folders_are_told_by_what_they_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file in (
        "study/study.json",
        "run/run.json",
        "model/model.json",
        "fpenet/x",
        "sgcpnet1/study.json",
        "mine.yaml",
    ):
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).touch()
    kinds = {word: kind_of(word) for word in ("study", "study#3", "run", "model", "mine.yaml", "absent.json")}
    assert kinds == {"study": "study", "study#3": "study", "run": "run"} | dict.fromkeys(
        ("model", "mine.yaml", "absent.json"), "point"
    )
    assert kind_of("study#3", sized=True) == "point" and kind_of("study", sized=True) == "study"
    assert (kind_of("fpenet"), kind_of("sgcpnet1")) == ("point", "study"), "a study may be called as a point is"
    with pytest.raises(InputError, match=r"^fpnet: is neither a study's folder nor a point, did you mean 'fpenet'"):
        kind_of("fpnet")
    assert trial_of("study") == (Path("study"), None) and trial_of("study", "fpenet") == (Path("study"), "fpenet")
    with pytest.raises(InputError, match="--point: names a second network beside 'study#3'"):
        trial_of("study#3", "fpenet")
