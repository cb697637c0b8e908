import random
import string
from pathlib import Path

import pytest

from segsearch.errors import InputError
from segsearch.remote.access import (
    LEAST_BITS,
    LEAST_LETTERS,
    VARIABLE,
    Address,
    check_strength,
    estimated_bits,
    is_loopback,
    make_token,
    need_token,
    read_token,
    same,
)


def test_from_the_file_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert read_token() is None
    with pytest.raises(InputError, match="token: none is given"):
        need_token()
    monkeypatch.setenv(VARIABLE, " from-the-environment\n")
    assert need_token() == "from-the-environment"
    (tmp_path / "token").write_text("from-a-file\n")
    assert need_token(tmp_path / "token") == "from-a-file"


@pytest.mark.parametrize("written", ["", "\n", "two words", "two\nlines", "schlüssel", "x" * 1025])
def test_what_is_no_token_is_not_shown(written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    file.write_text(written, encoding="utf-8")
    with pytest.raises(InputError, match="secret: holds no token") as caught:
        read_token(file)
    assert not written.strip() or written not in str(caught.value)
    monkeypatch.setenv(VARIABLE, written)
    with pytest.raises(InputError, match=f"{VARIABLE}: holds no token"):
        read_token()


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="token: cannot be read: not text"):
        read_token(tmp_path / "token")


def test_made_ones_are_long_and_differ() -> None:
    made = [make_token() for _ in range(100)]
    assert len(set(made)) == 100 and min(map(len, made)) >= LEAST_LETTERS
    assert same(made[0], made[0]) and not same(made[0], made[1]) and not same("schlüssel", "schlussel")


@pytest.mark.parametrize("text", ["127.0.0.1:7060", "jetson.lan:1", "[::1]:65535", "[fe80::1%eth0]:80"])
def test_addresses(text: str) -> None:
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "7060", "host", "host:", "host:0", "host:65536", "::1:80", "http://h:1", "a b:1", "h:1/x"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(InputError, match="is not an address .allowed: HOST:PORT"):
        Address.parse(text)


def test_loopback() -> None:
    assert [
        n for n in ("127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::", "192.168.0.7", "fe80::1%eth0") if is_loopback(n)
    ] == [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
    ]


@pytest.mark.parametrize(
    "token",
    [
        "a" * 16,
        "a" * 64,
        "1234567890123456",
        "0123456789abcdef",
        "zyxwvutsrqponmlk",
        "abcabcabcabcabca",
        "aAaAaAaAaAaAaAaA",
        "AAAABBBBCCCCDDDD",
        "111122223333444455556666",
        "qwertyuiopasdfgh",
        "passwordpassword",
        "password12345678",
        "adminadminadmin1",
        "letmeinletmein!!",
        "segsearchsegsearch",
        "changemechangemechangeme",
        "hunter2hunter2hunter2hunter2",
        "x7Kp!x7Kp!x7Kp!x7Kp!",
        "short",
        "kT9_vQ2-xW7",
    ],
)
def test_tokens_that_are_easy_to_guess(token: str) -> None:
    with pytest.raises(InputError, match="--host: jetson is open to others, so the token must be hard") as caught:
        check_strength(token, "jetson")
    assert token not in str(caught.value) and "secrets.token_urlsafe" in str(caught.value)


def test_random_tokens_are_hard_to_guess() -> None:
    draw = random.Random(0)
    alphabets = (string.hexdigits.lower()[:16], string.ascii_letters + string.digits, string.ascii_lowercase)
    for alphabet in alphabets:
        for length in (24, 32, 64):
            for _ in range(50):
                token = "".join(draw.choices(alphabet, k=length))
                check_strength(token, "jetson")
                assert LEAST_BITS <= estimated_bits(token) <= 8 * length
    for _ in range(50):
        check_strength(make_token(), "jetson")
