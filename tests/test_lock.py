import errno
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from segsearch.errors import InputError
from segsearch.lock import locked

HOLDER = """
import sys, time
from pathlib import Path
from segsearch.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_given_back(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path):
            assert (tmp_path / ".lock").read_text().startswith(f"{os.getpid()}-")


def test_a_lock_is_given_back_by_whoever_dies(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        running = rf"another process {holder.pid} \(python.*\) is running this study$"
        with pytest.raises(InputError, match=running), locked(tmp_path):
            pass
        holder.send_signal(signal.SIGSTOP)
        os.waitpid(holder.pid, os.WUNTRACED)
        stopped = (
            rf"{holder.pid} \(python.*\), stopped \(continue it with `kill -CONT {holder.pid}`, or end it with `kill -9"
        )
        with pytest.raises(InputError, match=stopped), locked(tmp_path):
            pytest.fail("a study that is continued would write here, too")
        holder.kill()
        holder.wait()
        with locked(tmp_path):
            pass


def test_a_folder_that_takes_no_lock_is_named(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    with pytest.raises(InputError, match=r"\.lock: cannot be locked: Is a directory"), locked(tmp_path):
        pass


def test_a_file_system_without_locks_is_not_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(InputError, match=r"\.lock: cannot be locked: No locks available .allowed: a folder on a file"):
        with locked(tmp_path):
            pass


def test_a_full_disk_still_locks(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with locked(tmp_path), pytest.raises(InputError, match="another process is running"), locked(tmp_path):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("written", ["", "garbage", "1-2-3", "x-1", "1", "4194000-100"])
def test_what_is_written_in_the_lock_is_only_believed_of_a_living_process(written: str, tmp_path: Path) -> None:
    expected = "process 4194000 of another machine is" if written.startswith("4") else "another process is"
    with locked(tmp_path):
        (tmp_path / ".lock").write_text(written)
        with pytest.raises(InputError, match=rf": {expected} exporting it$"), locked(tmp_path, "exporting it"):
            pass
