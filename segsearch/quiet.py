"""What other libraries are kept from: to send usage data, to write into the home folder, to print and to warn."""

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

CACHE = "SEGSEARCH_CACHE"
"""Environment variable that says where downloads and caches are kept."""

_NO_TELEMETRY = {
    "ORT_DISABLE_TELEMETRY": "1",  # from 1.29 on it keeps a device id in ~/.cache/Microsoft and sends events
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_TELEMETRY": "1",  # of the hub that timm loads
}
"""Read when a library loads. OpenVINO has no such variable: `segsearch.deployment.openvino` keeps its telemetry out."""

_FOLDERS = {
    "MPLCONFIGDIR": "matplotlib",  # ~/.config/matplotlib, ~/.cache/matplotlib: its list of fonts
    "TRITON_HOME": "triton",  # ~/.triton: kernels of torch.compile for GPUs
    "CUDA_CACHE_PATH": "cuda",  # ~/.nv/ComputeCache: kernels that the driver compiles
}


def cache_folder() -> Path:
    """Return where downloads and caches are kept: $SEGSEARCH_CACHE, or ``~/.cache/segsearch``."""
    return Path(os.path.expanduser(os.environ.get(CACHE) or "~/.cache/segsearch"))


def send_nothing() -> None:
    """Turn off what libraries send about their use, in this process and those it starts; a value that is set stays."""
    for name, value in _NO_TELEMETRY.items():
        os.environ.setdefault(name, value)


def keep_home_clean() -> None:
    """Let libraries that cache in the home folder do so in `cache_folder`, unless another place is set.

    For programs of ours only: an import of this package must not move the settings that a notebook has for matplotlib.
    """
    for name, folder in _FOLDERS.items():
        os.environ.setdefault(name, str(cache_folder() / folder))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop what is printed, logged below an error, and warned about inside the block; what is raised passes."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
