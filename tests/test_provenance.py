import re

from segsearch.provenance import commit, versions


def test_commit_is_a_hash_or_unknown() -> None:
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", commit())


def test_versions_name_what_changes_results() -> None:
    assert {"segsearch", "python", "torch", "optuna", "numpy"} <= set(versions())
    assert all(re.match(r"\d+\.\d+", version) for version in versions().values())
