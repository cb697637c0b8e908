"""How the program ends: one line and an exit code, whatever went wrong and whoever reads what it prints."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from segsearch.space import load
from segsearch.space.points import named_points
from tests.command import refusal, run


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which ``$S`` is segsearch."""
    command = ["bash", "-c", f'S="{sys.executable} -m segsearch"; {line}']
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A mistake of ours in `load_space`, which `space size` calls; the cache folder, where its log goes."""

    def mistaken(name: str) -> None:
        raise TypeError(f"first line of {name}\nsecond line")

    monkeypatch.setattr(load, "load_space", mistaken)
    monkeypatch.setenv("SEGSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEGSEARCH_DEBUG", raising=False)
    return tmp_path / "cache"


def test_what_nobody_expected_is_one_line_with_a_log(broken: Path) -> None:
    done = run("space", "size", "narrow one")
    (log,) = broken.iterdir()
    told = "unexpected error: TypeError: first line of narrow one second line; the details are in"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"segsearch: {told} {log}\n")
    text = log.read_text()
    assert "segsearch space size 'narrow one'" in text and "in mistaken" in text and "Traceback" in text


def test_the_log_goes_elsewhere_where_the_cache_cannot_be_written(broken: Path, tmp_path: Path) -> None:
    broken.write_text("a file in the place of the folder")
    log = Path(run("space", "size").stderr.strip().rpartition(" ")[2])
    assert log.is_relative_to(os.environ["TMPDIR"]) and "in mistaken" in log.read_text()
    log.unlink()


@pytest.mark.parametrize("asked", ["option", "variable"])
def test_the_traceback_is_shown_where_it_is_asked_for(
    asked: str, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGSEARCH_DEBUG", "1" if asked == "variable" else "0")
    done = run(*(["--debug"] if asked == "option" else []), "space", "size")
    assert done.returncode == 1 and "in mistaken" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("segsearch: unexpected error: TypeError: ")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(13, "Permission denied", "/root/x"), "/root/x: Permission denied"),
        (OSError(28, "No space left on device"), "this machine: [Errno 28] No space left on device (cure: free disk"),
        (MemoryError(), "this machine: MemoryError (cure: free memory"),
    ],
)
def test_faults_of_the_machine_are_code_2(error: Exception, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(name: str) -> None:
        raise error

    monkeypatch.setattr(load, "load_space", faulty)
    assert refusal("space", "size").startswith(line)


@pytest.mark.parametrize("verb", ["space show", "--help", "schema recipe"])
def test_full_closed_and_left_outputs(verb: str) -> None:
    full = shell(f"$S {verb} >/dev/full")
    assert (full.returncode, full.stderr) == (2, "segsearch: standard output: No space left on device\n")
    ends = {
        f"$S {verb} >&-": 0,
        f"$S {verb} <&- >&- 2>&-": 0,
        "$S space nope 2>/dev/full": 2,
        "$S space nope 2>&-": 2,
        f"set -o pipefail; $S {verb} | true": 0,
    }
    script = "; ".join(f"({line}); echo $?" for line in ends)
    done = shell(script)
    assert done.stdout.split() == [str(code) for code in ends.values()] and not done.stderr


def test_nobody_who_reads_notes_ends_no_verb(tmp_path: Path) -> None:
    """A log that is piped into a program that has ended."""
    line = f"$S leaderboard --points fpenet --size 64x64 --quick --samples 3 --out {tmp_path}/board"
    done = shell(f"{line} 2> >(exec true); echo $?")
    assert done.stdout.split()[-1] == "0", done
    assert (tmp_path / "board" / "measured.jsonl").read_text().count("\n") == 1


def test_every_line_on_standard_error_is_said_by_one_function() -> None:
    """`segsearch.progress.say` alone survives a reader that has gone; the stacks of a hang are for a debugger."""
    package = Path(load.__file__).parents[1]
    files = {str(p.relative_to(package)): p.read_text(encoding="utf-8") for p in package.rglob("*.py")}
    printing = {name for name, text in files.items() if re.search(r"file=sys\.(__)?stderr|sys\.stderr\.write", text)}
    assert printing == {"progress.py", "engine/executors/watchdog.py"}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_that_lacks_a_character_loses_only_it(encoding: str, tmp_path: Path) -> None:
    shown = run("show", "fpenet", "--size", "64x64", encoding=encoding)
    assert shown.returncode == 0 and "b1787458fdda" in shown.stdout and "deviates:" in shown.stdout
    assert "spaces" not in run("space", "size", tmp_path / "\u2207.yaml", encoding=encoding).stderr.split()
    assert run("space", "size", tmp_path / "\u2207.yaml", encoding=encoding).stderr.endswith(
        "?.yaml: no such file (allowed: a YAML file, or one of dfanet, eseg, fpenet, realtime, sfnet, sgcpnet, unified)\n"
    )


def test_a_folder_that_is_gone_is_told_at_once(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = [sys.executable, "-P", "-m", "segsearch", "points"]
    script = f"cd {shlex.quote(str(gone))} && rmdir ../gone && exec {shlex.join(command)}"
    environment = os.environ | {"PYTHONPATH": str(Path(load.__file__).parents[2])}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, env=environment)
    line = (
        "segsearch: the folder that this runs in is gone or closed (No such file or directory): change to another one\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_home_is_meant_wherever_a_shell_left_it_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run("schema", "recipe", "--out=~/r.json").returncode == 0
    assert run("schema", "recipe", "--out", "~/s.json").returncode == 0
    assert {p.name for p in tmp_path.iterdir()} == {"r.json", "s.json"}
    assert refusal("show", "~/absent.yaml").startswith(f"{tmp_path}/absent.yaml: no such file")
    assert refusal("show", "~nobody-of-this-name/x.yaml").startswith("~nobody-of-this-name/x.yaml: no such file")


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        ("segsearch sh", {"show"}),
        ("segsearch le", {"leaderboard"}),
        ("segsearch space s", {"show", "size", "sample"}),
        ("segsearch show --s", {"--size"}),
        ("segsearch show sfnet_r1", {name for name in named_points() if name.startswith("sfnet_r1")}),
        ("segsearch schema re", {"recipe"}),
    ],
)
def test_bash_completes(words: str, answers: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_SEGSEARCH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    done = run()
    assert (done.returncode, set(done.stdout.split()), done.stderr) == (0, answers, "")


def test_completion_installs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a shell: it is the parent process that tells which one, and the tests may have been begun by none."""
    monkeypatch.setenv("HOME", str(tmp_path))
    done = shell("$S --show-completion && $S --install-completion; exit $?")
    assert done.returncode == 0 and "complete -o default -F _segsearch_completion" in done.stdout
    sourced = (tmp_path / ".bashrc").read_text().split("'")[1]
    assert "_SEGSEARCH_COMPLETE=complete_bash" in Path(sourced).read_text()


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["serach", "x"], "search"),
        (["exprot"], "export"),
        (["space", "sampel"], "sample"),
        (["data", "chek"], "check"),
        (["show", "fpenet", "--clases", "3"], "--classes"),
        (["search", "x", "--trails", "3"], "--trials"),
        (["measure", "fpenet", "--bakend", "x"], "--backend"),
        (["schema", "studdy"], "study"),
    ],
)
def test_what_is_mistyped_is_guessed(arguments: list[str], meant: str) -> None:
    assert meant in refusal(*arguments)
