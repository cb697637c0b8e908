"""The verb of a machine that measures for others."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segsearch.remote.access import VARIABLE

if TYPE_CHECKING:
    from segsearch.remote.client import Worker

TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file", metavar="FILE", help=f"Holds the worker's token; default: {VARIABLE} of the environment."
    ),
]
RemoteOption = Annotated[
    str | None,
    typer.Option("--remote", metavar="HOST:PORT", help="Measure there: where `segsearch measure-worker` listens."),
]


def measure_worker(
    host: Annotated[str, typer.Option(help="Address to listen at; any but loopback asks for a token of yours.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 0,
    token_file: TokenFileOption = None,
    backend: Annotated[
        list[str] | None, typer.Option(help="Offer this one only; may be repeated. Default: all that are installed.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1.0, help="Limit of one measurement, which ends then. Default: 15 minutes.")
    ] = None,
    memory: Annotated[
        int, typer.Option(metavar="MIB", min=0, help="Memory that one measurement may take. 0: half of the machine's.")
    ] = 0,
) -> None:
    """Measure networks on this machine for others: they send exported graphs, never code. Ctrl-C ends it.

    Where no token is given one is made and shown. Nothing is encrypted: from afar, come through an ssh tunnel.

    Example: segsearch measure-worker --port 7060
    """
    from segsearch.remote.access import read_token
    from segsearch.remote.worker import MOST_SECONDS, Limits, MeasureWorker

    limits = Limits(seconds or MOST_SECONDS, memory)
    worker = MeasureWorker(host=host, port=port, token=read_token(token_file), backends=backend or (), limits=limits)
    try:  # once it is said to be ready, Ctrl-C may come at any time
        print(f"listening at {worker.address} ({worker.facts.host})")
        print("devices: " + ", ".join(f"{name} ({maker})" for name, maker in worker.facts.devices.items()))
        print("backends: " + ", ".join(f"{name} {version}" for name, version in worker.facts.backends.items()))
        if worker.made_token:
            print(f"token: {worker.token}")
        print("ready", flush=True)
        worker.serve(partial(print, flush=True))
    except KeyboardInterrupt:
        print("stopped")
    finally:
        worker.close()


def worker_at(address: str, token_file: Path | None) -> "Worker":
    """Return a worker by its address, with its token. Raises InputError where either cannot be."""
    from segsearch.remote.access import Address, need_token
    from segsearch.remote.client import Worker

    return Worker(Address.parse(address), need_token(token_file))
