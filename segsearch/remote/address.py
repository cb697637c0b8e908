"""Where a worker listens."""

import ipaddress
import re
import socket
from dataclasses import dataclass

from segsearch.errors import DeviceError, InputError

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
