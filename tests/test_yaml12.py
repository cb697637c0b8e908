from pathlib import Path

import pytest

from segsearch.errors import InputError
from segsearch.yaml12 import load_yaml, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-2", -2),
        ("0x1f", 31),
        ("0o17", 15),
        ("-" + "9" * 17, -(10**17 - 1)),
        ("017", 17),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("12:30:00", "12:30:00"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("null", None),
        ("", None),
        ("~", None),
        ("'1'", "1"),
    ],
)
def test_scalars_mean_what_a_person_means(text: str, value: object) -> None:
    got = parse_yaml(f"key: {text}", "x.yaml")["key"]
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3", "x.yaml:3: key 'a' stands twice"),
        ("a: {b: 1, b: 2}", "x.yaml:1: key 'b' stands twice"),
        ("a: [1", "x.yaml:1: "),
        ("- 1", "x.yaml: must be a mapping of keys to values, got list"),
        ("", "x.yaml: must be a mapping"),
        ("a: !!python/object/apply:os.system [ls]", "x.yaml:1: could not determine a constructor"),
        ("a: 1\n---\nb: 2", "x.yaml:2: expected a single document in the stream but found another document"),
        ("a: 1\nb: " + "9" * 19, "x.yaml:2: a whole number of 19 digits is too large"),
        ("a: 0x" + "f" * 10_000, "x.yaml:1: a whole number of 10002 digits is too large"),
        ("[1]: 2", "a key must be a plain word or number"),
        ("a: &a [*a]", "x.yaml:1: an anchor (&) contains its own alias (*)"),
        ("&a\nb: {c: *a}", ": an anchor (&) contains its own alias (*)"),
        ("a: &a [&b [*a, *b]]", "x.yaml:1: an anchor (&) contains its own alias (*)"),
        ("a: " + "[" * 10_000 + "]" * 10_000, "x.yaml: is nested more than 100 levels deep"),
        ("a: " + "{a: " * 150 + "1" + "}" * 150, "x.yaml: is nested more than 100 levels deep"),
        ("\n".join(" " * depth + "a:" for depth in range(2000)), "x.yaml: is nested more than 100 levels deep"),
        ("a: &a0 [1]\n" + "".join(f"b{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 200)), "more than 100 levels deep"),
    ],
)
def test_bad_yaml_is_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, "x.yaml")
    assert str(caught.value).startswith(message) or message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_largest_whole_number_is_taken_and_no_larger_one() -> None:
    assert parse_yaml(f"a: {2**63 - 1}\nb: -{2**63 - 1}", "x.yaml") == {"a": 2**63 - 1, "b": 1 - 2**63}
    with pytest.raises(InputError, match="a whole number of 19 digits is too large"):
        parse_yaml(f"a: {2**63}", "x.yaml")


def test_unreadable_files(tmp_path) -> None:
    with pytest.raises(InputError, match="/dev/zero: is no regular file"):
        load_yaml(Path("/dev/zero"))
    with pytest.raises(InputError, match=r"gone.yaml: cannot be read: No such file"):
        load_yaml(tmp_path / "gone.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    with pytest.raises(InputError, match="not UTF-8"):
        load_yaml(tmp_path / "latin.yaml")
    (tmp_path / "large.yaml").write_text("#" * (5 * 2**20))
    with pytest.raises(InputError, match=r"large.yaml: is 5 MB, too large for YAML or JSON \(allowed: 4 MB\)"):
        load_yaml(tmp_path / "large.yaml")


def test_aliases_are_kept_but_cannot_fill_the_memory() -> None:
    assert parse_yaml("a: &a [1]\nb: *a", "x.yaml") == {"a": [1], "b": [1]}
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 12):
        bomb += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n"
    with pytest.raises(InputError, match="too large once its aliases are written out"):
        parse_yaml(bomb, "x.yaml")
