import errno
import os
import pickle

import pytest
import torch

from segsearch.errors import (
    MOST_LETTERS,
    InputError,
    MachineError,
    MissingExtraError,
    SegsearchError,
    UnfitError,
    machine_fault,
    one_line,
)


def _raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as caught:
        return caught


def _while_handling(first: Exception, then: Exception) -> Exception:
    try:
        try:
            raise first
        except Exception:
            raise then  # noqa: B904  what is tested: an error that was handled is no cause
    except Exception as caught:
        return caught


CODES = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM, errno.EFBIG, errno.EROFS)


@pytest.mark.parametrize("code", CODES, ids=[errno.errorcode[code] for code in CODES])
@pytest.mark.parametrize(
    "error",
    [
        lambda code: OSError(code, os.strerror(code), "/tmp/graph.so"),
        lambda code: RuntimeError(f"[enforce fail at inline_container.cc:664] : {os.strerror(code)}\nframe #0: c10"),
        lambda code: _raised(UnfitError("network", "cannot be compiled"), OSError(code, os.strerror(code))),
        lambda code: _raised(RuntimeError("backend"), _raised(ValueError("inner"), OSError(code, os.strerror(code)))),
    ],
    ids=["itself", "quoted", "cause", "cause of the cause"],
)
def test_a_machine_without_room_is_at_fault(error, code: int) -> None:
    fault = machine_fault(error(code))
    assert isinstance(fault, MachineError)
    assert "cure: " in str(fault) and "\n" not in str(fault)


def test_the_fault_names_what_was_wanted() -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/x.onnx")
    assert str(machine_fault(full)).startswith(
        "this machine: [Errno 28] No space left on device: '/tmp/x.onnx' (cure: "
    )
    unfit = _raised(UnfitError("network", "cannot be compiled"), full)
    assert str(machine_fault(unfit)) == str(machine_fault(full))
    compiler = RuntimeError("C++ compile error\n  g++ -c\n  cc1plus: writing a.i: No space left on device\nsee the log")
    assert str(machine_fault(compiler)).startswith(
        "this machine: cc1plus: writing a.i: No space left on device (cure: "
    )
    assert str(machine_fault(MemoryError())).startswith("this machine: MemoryError (cure: free memory")
    known = MachineError("this machine: known")
    assert machine_fault(known) is known


@pytest.mark.parametrize(
    "error",
    [
        ValueError("diverged"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        UnfitError("network", "cannot be recorded as a CUDA graph: it waits"),
        _while_handling(OSError("could not get source code"), RuntimeError("shapes do not match")),
    ],
)
def test_a_network_is_not_excused(error: Exception) -> None:
    assert machine_fault(error) is None


def test_a_foreign_message_keeps_its_cause() -> None:
    assert one_line("Load failed:\n  bad \x1b[31mmagic\n\n") == "Load failed: bad [31mmagic"
    assert one_line(ValueError("a\tb")) == "a b"
    long = "What failed\n" + "frame\n" * 1000 + "the cause"
    assert one_line(long).startswith("What failed ... ") and one_line(long).endswith(" the cause")
    endless = one_line("begin " + "x" * 10_000 + " end")
    assert endless.startswith("begin xx") and endless.endswith("xx end") and len(endless) < MOST_LETTERS + 10


@pytest.mark.parametrize(("error", "told"), [(MemoryError(), "MemoryError"), ("", "it does not say why")])
def test_an_error_without_words_is_told_by_its_name(error: Exception | str, told: str) -> None:
    assert one_line(error) == told


def _kinds(kind: type[SegsearchError]) -> set[type[SegsearchError]]:
    return {kind}.union(*map(_kinds, kind.__subclasses__()))


MADE = {
    InputError: ("study.yaml", "is missing", ["one", "two"]),
    MissingExtraError: ("timm", "timm"),
}


@pytest.mark.parametrize("kind", sorted(_kinds(SegsearchError), key=str))
def test_every_error_can_be_sent_to_another_process(kind: type[SegsearchError]) -> None:
    made = MADE[InputError] if kind not in MADE and issubclass(kind, InputError) else MADE.get(kind, ("a line",))
    error = kind(*made)
    sent = pickle.loads(pickle.dumps(error))
    assert type(sent) is kind and str(sent) == str(error) and vars(sent) == vars(error)
