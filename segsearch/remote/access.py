"""Who reaches a worker: its address, and the token that it asks for, which never stands on a command line."""

import hmac
import ipaddress
import math
import os
import re
import secrets
import socket
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from segsearch.errors import DeviceError, InputError

VARIABLE = "SEGSEARCH_TOKEN"
LEAST_LETTERS, LEAST_BITS = 16, 32.0
"""Of a token that guards a worker beyond loopback.

16 random hexadecimal digits are estimated at 43 bits, hardly ever at less than 32.
"""
_MOST_LETTERS = 1024
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890", "qwertzuiop", "azertyuiop")
_WRITTEN = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.%\w]+)\]|(?P<host>[\w.-]+)):(?P<port>\d{1,5})", re.ASCII)


@dataclass(frozen=True)
class Address:
    """A host by name or number, and a port; as text ``host:port``, IPv6 in brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str, place: str = "--remote") -> "Address":
        """Read ``host:port``. Raises InputError for anything else."""
        found = _WRITTEN.fullmatch(text.strip())
        if found is None or not 1 <= int(found["port"]) <= 65535:
            raise InputError(place, f"{text!r} is not an address", "HOST:PORT, such as 127.0.0.1:7060")
        return cls(found["six"] or found["host"], int(found["port"]))


def resolve(host: str) -> tuple[socket.AddressFamily, str]:
    """Return the family and number of a host of this machine to listen at. Raises DeviceError if it has none."""
    try:
        family, _, _, _, where = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise DeviceError(f"--host: {host!r} is no address of this machine: {error}") from error
    return family, str(where[0])


def is_loopback(number: str) -> bool:
    """Whether an address, as a number, is reached from this machine alone."""
    return ipaddress.ip_address(number.partition("%")[0]).is_loopback


def make_token() -> str:
    """Return a new random token of 32 characters."""
    return secrets.token_urlsafe(24)


def check_strength(token: str | None, host: str) -> None:
    """See that a token keeps strangers out. Raises InputError where there is none, or one that is easy to guess."""
    if token is None:
        problem = "a token must be given"
    elif len(token) < LEAST_LETTERS or estimated_bits(token) < LEAST_BITS:
        problem = "the token must be hard to guess"
    else:
        return
    good = f"{LEAST_LETTERS} random characters or more; python -c 'import secrets; print(secrets.token_urlsafe(24))'"
    raise InputError("--host", f"{host} is open to others, so {problem}", f"{good} makes one")


def estimated_bits(token: str) -> float:
    """Estimate how many bits must be guessed: log2 of the number of different characters, per surprising character.

    A character surprises unless it repeats the one before, is next to it in the alphabet, the digits or a row of the
    keyboard, or follows it as it did before.
    """
    surprising, seen = min(len(token), 1), set[tuple[str, str]]()
    for pair in pairwise(token.lower()):
        before, letter = pair
        steps = abs(ord(before) - ord(letter)) <= 1
        typed = any(before + letter in row or letter + before in row for row in _ROWS)
        surprising += not (steps or typed or pair in seen)
        seen.add(pair)
    return surprising * math.log2(max(1, len(set(token))))


def read_token(file: Path | None = None) -> str | None:
    """Read the token from ``file``, else from the environment; None where neither has one.

    Raises:
        InputError: the file cannot be read, or what it holds is no token. The line does not show it.
    """
    if file is None:
        written, place = os.environ.get(VARIABLE), VARIABLE
        return None if written is None else _checked(written, place)
    try:
        return _checked(file.read_text(encoding="utf-8")[: _MOST_LETTERS + 2], str(file))
    except (OSError, UnicodeError) as error:
        raise InputError(file, f"cannot be read: {getattr(error, 'strerror', None) or 'not text'}") from None


def need_token(file: Path | None = None) -> str:
    """Read the token for a caller. Raises InputError as `read_token`, and where there is none."""
    token = read_token(file)
    if token is None:
        raise InputError("token", "none is given", f"--token-file FILE, or {VARIABLE} of the environment")
    return token


def same(left: str, right: str) -> bool:
    """Compare two tokens in a time that does not depend on where they differ."""
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode("utf-8", "replace"))


def _checked(written: str, place: str) -> str:
    token = written.strip()
    if not token or len(token) > _MOST_LETTERS or not all("!" <= letter <= "~" for letter in token):
        raise InputError(place, "holds no token", f"1 to {_MOST_LETTERS} visible ASCII characters on one line")
    return token
