"""The one door to OpenVINO, closed to its telemetry."""

import sys
from typing import Any

from segsearch.errors import MissingExtraError

_TELEMETRY = "openvino_telemetry"


def openvino() -> Any:
    """Import OpenVINO, which then tells nobody: without the telemetry library it falls back to a stub of its own.

    Raises:
        MissingExtraError: it is not installed.
    """
    before = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # importing it now fails
    try:
        import openvino as runtime
    except ImportError as error:
        raise MissingExtraError("openvino", "openvino") from error
    finally:
        del sys.modules[_TELEMETRY]
        if before is not None:
            sys.modules[_TELEMETRY] = before
    return runtime
