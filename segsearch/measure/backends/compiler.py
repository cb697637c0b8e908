"""The C++ compiler that torch's code generators call."""

import os
import shutil

from segsearch.errors import DeviceError


def need_compiler(backend: str) -> None:
    """Check that there is a C++ compiler: the one of the variable CXX, else g++, as torch itself looks for it.

    Raises:
        DeviceError: there is none.
    """
    name = os.environ.get("CXX", "g++")
    if shutil.which(name.split()[0] if name.strip() else "g++") is None:
        raise DeviceError(f"backend: {backend} needs a C++ compiler, and {name!r} is not here (available: set CXX)")
