"""The shared word that a worker asks for: from a file or the environment, never from a command line."""

import hmac
import os
import secrets
from pathlib import Path

from segsearch.errors import InputError

VARIABLE = "SEGSEARCH_TOKEN"
LEAST = 16
"""Characters of a token that guards a worker beyond loopback."""
_MOST = 1024


def make_token() -> str:
    """Return a new random token of 32 characters."""
    return secrets.token_urlsafe(24)


def read_token(file: Path | None = None) -> str | None:
    """Read the token from ``file``, else from the environment; None where neither has one.

    Raises:
        InputError: the file cannot be read, or what it holds is no token. The line does not show it.
    """
    if file is None:
        written, place = os.environ.get(VARIABLE), VARIABLE
        return None if written is None else _checked(written, place)
    try:
        return _checked(file.read_text(encoding="utf-8")[: _MOST + 2], str(file))
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
    if not token or len(token) > _MOST or not all("!" <= letter <= "~" for letter in token):
        raise InputError(place, "holds no token", f"1 to {_MOST} visible ASCII characters on one line")
    return token
