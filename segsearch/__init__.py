"""segsearch: design-space search for real-time semantic segmentation.

The whole package in one line::

    point --lower--> spec --build--> network --trial--> result

A *point* is a flat dict of choices, a *spec* one explicit network, a *trial* one training and measurement, a *study*
many trials over one space within one budget. What a script needs is here; every name is loaded when it is first used,
so importing this package loads neither torch nor optuna. The import only turns off, by environment variables, what
libraries send about their use.

Networks: `list_models`, `create_model`, `load_model`, `normalise`, `cost`, `latency`, `deploy`.
Training: `train`, `evaluate` with an `Evaluation`, `own_data`, `save_weights`.
Searching: `search`, `open_study`, `ParetoSampler`. Files for other runtimes: `export`. What goes wrong is a
`SegsearchError`: `InputError` of bad input, `DeviceError`, `MachineError`, `DivergedError`, `BudgetError`,
`ProofError`, `MissingExtraError`.
"""

from typing import Any

from segsearch.quiet import send_nothing

__version__ = "0.1.0"
__all__ = [
    "BudgetError",
    "DeviceError",
    "DivergedError",
    "Evaluation",
    "InputError",
    "MachineError",
    "MissingExtraError",
    "ParetoSampler",
    "ProofError",
    "SegsearchError",
    "cost",
    "create_model",
    "deploy",
    "evaluate",
    "export",
    "latency",
    "list_models",
    "load_model",
    "normalise",
    "open_study",
    "own_data",
    "save_weights",
    "search",
    "train",
]

send_nothing()

_WITHOUT_TORCH = {name: "segsearch.errors" for name in __all__ if name.endswith("Error")} | {
    "ParetoSampler": "segsearch.samplers.pareto_sampler"
}
"""Modules of names that users of other frameworks take; all others come from ``segsearch.api``."""


def __getattr__(name: str) -> Any:
    """Load what is asked for when it is: PEP 562. The types of these names stand in ``__init__.pyi``."""
    if name not in __all__:
        raise AttributeError(f"module 'segsearch' has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(_WITHOUT_TORCH.get(name, "segsearch.api")), name)
    return found


def __dir__() -> list[str]:
    """List what scripts may take from here."""
    return [*__all__, "__version__"]
