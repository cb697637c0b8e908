import re
from pathlib import Path
from typing import get_args

import pytest
import torch

from segsearch.engine.prepare import prepare
from segsearch.errors import DeviceError, InputError
from segsearch.measure.backends.base import PRECISIONS
from segsearch.study.config import StudyConfig, load_study, parse_study
from tests.command import run
from tests.engine.studies import study

MINIMAL = {"name": "s", "data": {"name": "streets"}, "recipe": {"iterations": 10}, "trials": 4}

TEXT = """
name: mine
narrow: {encoder: [fpe], encoder_width: 0.5}
data: {name: streets, size: [64, 96], train: 8, val: 4}
recipe: {iterations: 20, batch_size: 2, learning_rate: 1e-2}
budget: {fps: 60, params: 1000000}
trials: 5
sampler: random
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_a_study_file_is_read(tmp_path: Path) -> None:
    config = load_study(written(tmp_path, TEXT))
    assert config.narrow == {"encoder": ("fpe",), "encoder_width": (0.5,)}
    assert config.data.size == (64, 96) and config.recipe.learning_rate == 0.01
    assert config.budget.fps == 60 and config.budget.params == 1_000_000
    assert (config.most_proposals, config.points, config.seed) == (100, None, 0)
    assert StudyConfig.parse(config.model_dump(mode="json"), "again") == config


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("sampler:", "smpler:", "mine.yaml.smpler: unknown key, did you mean 'sampler'?"),
        ("trials: 5", "", "mine.yaml: trials is missing, or minutes in its place"),
        ("trials: 5", "trials: 0", "mine.yaml.trials: should be greater than or equal to 1, got 0"),
        ("fps: 60", "fps: fast", 'mine.yaml.budget.fps: should be a valid number, got "fast"'),
        ("fps: 60", "fps: -1", "mine.yaml.budget.fps: should be greater than 0, got -1"),
        ("name: streets", "name: cities", "mine.yaml.data: name 'cities' is not known"),
        ("name: streets, ", "", "mine.yaml.data: must have the key name"),
        ("sampler: random", "sampler: grid", "mine.yaml.sampler: 'grid' is not known"),
        ("iterations: 20, ", "", "mine.yaml.recipe: exactly one of iterations and epochs must be given"),
        ("iterations: 20", "iteration: 20", "mine.yaml.recipe.iteration: unknown key, did you mean 'iterations'?"),
        ("name: mine", "name: ../mine", "mine.yaml.name: '../mine' cannot name a folder"),
        ("name: mine", "name: ..", "mine.yaml.name: '..' cannot name a folder"),
        ("sampler: random", "form: [x]", "mine.yaml.form: unknown key, did you mean 'from'? (allowed: backend, "),
        ("encoder_width: 0.5", "encoder_width: [.nan]", "mine.yaml.narrow.encoder_width[0]: should be a finite number"),
        ("encoder_width: 0.5", "encoder_width: [{a: 1}]", "mine.yaml.narrow.encoder_width[0]: should be a valid "),
        ("batch_size: 2", "auxiliary_weight: .nan", "mine.yaml.recipe.auxiliary_weight: should be a finite number"),
        ("name: mine", "name: .hid", "mine.yaml.name: '.hid' cannot name a folder"),
        ("name: mine", 'name: " "', "mine.yaml.name: ' ' cannot name a folder"),
        ("name: mine", 'name: "mine "', "mine.yaml.name: 'mine ' cannot name a folder"),
        ("name: mine", 'name: "a\\0b"', r"mine.yaml.name: 'a\x00b' cannot name a folder"),
        ("trials: 5", "trials: 5\nthreads: 100000", "mine.yaml.threads: should be less than or equal to 512"),
        ("name: mine", "name: mine\nname: mine", "mine.yaml:3: key 'name' stands twice"),
    ],
)
def test_a_refusal_is_one_line_with_its_place(old: str, new: str, line: str, tmp_path: Path) -> None:
    path = written(tmp_path, TEXT.replace(old, new))
    with pytest.raises(InputError) as caught:
        load_study(path)
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(line)
    assert "\n" not in str(caught.value)


def test_an_absent_study_names_the_shipped_ones() -> None:
    with pytest.raises(InputError, match=r"nowhere: no such file \(allowed: a YAML file, or one of .*quickstart"):
        load_study("nowhere")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"narrow": {"encodr": "fpe"}}, "narrow.encodr: unknown choice"),
        ({"narrow": {"encoder": ["vgg"]}}, "narrow.encoder: 'vgg' is not a choice"),
        ({"points": ["nonet"]}, "points: 'nonet' is not a named point"),
        ({"points": [""]}, "^points: '' names nothing"),
        ({"space": "/dev/null"}, "/dev/null: is no regular file"),
        ({"data": {"name": "folder", "root": "/dev/zero", "size": [32, 48]}}, "/dev/zero: is no regular file"),
        ({"space": "narnia"}, "narnia: no such file"),
        ({"data": {"name": "camvid", "root": "/nowhere"}}, "/nowhere"),
    ],
)
def test_what_a_file_alone_cannot_tell_is_checked_before_the_first_trial(changes: dict, line: str) -> None:
    with pytest.raises(InputError, match=line):
        prepare(parse_study(MINIMAL | changes, "x"))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("trials", 10**12),
        ("proposals", 10**12),
        ("startup", 10**12),
        ("seed", 10**20),
        ("threads", 10**6),
        ("timer.min_samples", 10**12),
        ("timer.min_seconds", 1e9),
        ("timer.max_warmup_seconds", 1e9),
        ("timer.blocks", 10**12),
        ("timer.retakes", 10**12),
        ("recipe.batch_size", 10**9),
        ("recipe.iterations", 10**12),
        ("recipe.epochs", 10**12),
        ("recipe.warmup", 10**12),
        ("recipe.crop", [10**6, 64]),
        ("recipe.scale", [0.5, 1e9]),
        ("data.size", [10**6, 10**6]),
        ("data.train", 10**12),
        ("data.val", 10**12),
    ],
)
def test_numbers_beyond_all_sense_are_refused_by_their_key(place: str, value: object) -> None:
    section, _, key = place.rpartition(".")
    inside = {"iterations": 10} if key not in ("iterations", "epochs") else {}
    base = {"recipe": inside, "data": {"name": "streets"}, "timer": {}}
    changes = {section: base[section] | {key: value}} if section else {key: value}
    with pytest.raises(InputError, match=rf"x\.{place}.* should be less than or equal to [0-9.]+, got "):
        parse_study(MINIMAL | changes, "x")


def test_text_that_is_no_unicode_is_one_line() -> None:
    with pytest.raises(InputError, match=r"x: holds text that is not valid Unicode$"):
        parse_study(MINIMAL | {"name": "a\ud800b"}, "x")


def test_a_batch_larger_than_the_memory_is_refused_before_the_first_trial() -> None:
    recipe = {"iterations": 10, "batch_size": 65_536}
    with pytest.raises(
        InputError, match=r"recipe.batch_size: 65536 images of 8192x8192 are 52776\.6 GB, and this mach"
    ):
        prepare(parse_study(MINIMAL | {"recipe": recipe, "data": {"name": "streets", "size": [8192, 8192]}}, "x"))


def test_a_study_is_called_as_its_file_unless_it_says_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "my streets.v2.yaml"
    path.write_text(TEXT.replace("name: mine\n", ""))
    assert load_study(path).name == "my streets.v2"
    path.write_text(TEXT)
    assert load_study(path).name == "mine"
    assert (load_study("quickstart").name, load_study("camvid_cpu").name) == ("quickstart", "camvid_cpu")


@pytest.mark.parametrize(
    ("trials", "startup", "taken"),
    [
        (1, None, 1),
        (7, None, 7),
        (13, None, 8),
        (32, None, 8),
        (100, None, 25),
        (13, 24, 13),
        (1, 10**6, 1),
        (13, 2, 2),
    ],
)
def test_the_sampler_learns_before_the_last_trial(trials: int, startup: int | None, taken: int) -> None:
    written = MINIMAL | {"trials": trials, "sampler": "tpe"} | ({"startup": startup} if startup else {})
    config = parse_study(written, "x")
    assert config.drawn_first == taken
    lowered = [f"startup: {startup} is more than the {trials} trials wanted, so it is taken as {taken}"]
    assert list(config.notes) == (lowered if startup and startup > trials else [])


def test_a_startup_that_was_lowered_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        TEXT.replace("sampler: random", "startup: 9").replace(
            "narrow: {encoder: [fpe]", "narrow: {encoder: [fpe], finest: []"
        )
    )
    done = run("search", path, "--dry-run")
    assert done.returncode == 2, "no network is drawn from an empty choice"
    assert done.stderr.startswith("note: startup: 9 is more than the 5 trials wanted, so it is taken as 5\n")


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:0", "cuda:7"])
def test_a_device_may_be_the_second_gpu(device: str) -> None:
    remote = {"address": "127.0.0.1:7060", "device": device}
    config = parse_study(MINIMAL | {"device": device, "remote": remote}, "x")
    assert config.remote is not None and config.device == config.remote.device == device
    if device == "cuda:7" and torch.cuda.device_count() < 8:
        with pytest.raises(DeviceError, match="device: cuda:7 is not here"):
            prepare(parse_study(MINIMAL | {"device": device}, "x"))
    pattern = StudyConfig.model_json_schema()["properties"]["device"]["pattern"]
    assert re.search(pattern, device) and not re.search(pattern, f"{device}x")


@pytest.mark.parametrize(
    "device", ["cuda:", "cuda:-1", "cuda:x", "cuda 0", "cuda:1:2", "CUDA", "cpu:0", "mps", "", "cuda:0\n"]
)
def test_another_device_is_refused_by_name(device: str) -> None:
    for changes, place in (
        ({"device": device}, "x.device"),
        ({"remote": {"address": "a:1", "device": device}}, "x.remote.device"),
    ):
        with pytest.raises(InputError) as caught:
            parse_study(MINIMAL | changes, "x")
        assert str(caught.value) == f"{place}: {device!r} is not known (allowed: cpu, cuda, cuda:N)"


def test_precisions_are_those_that_exist_and_int8_is_not_searched_in() -> None:
    words = next(part for part in get_args(StudyConfig.model_fields["precision"].annotation) if part is not type(None))
    assert set(get_args(words)) == set(PRECISIONS)
    with pytest.raises(InputError) as caught:
        parse_study(MINIMAL | {"precision": "int8"}, "x")
    assert str(caught.value).startswith("x.precision: int8 needs a trained network") and "--int8" in str(caught.value)
    assert parse_study(MINIMAL, "x").shipped is parse_study(MINIMAL | {"precision": "float32"}, "x").shipped is None


def test_a_network_is_scored_here_on_the_kind_of_device_that_a_worker_times_on() -> None:
    remote = {"remote": {"address": "a:1", "device": "cuda:2"}, "backend": "tensorrt", "precision": "float16"}
    there, here = (parse_study(MINIMAL | remote | {"device": d}, "x").shipped for d in ("cpu", "cuda:1"))
    assert there is not None and here is not None and (there.device, here.device) == ("cuda", "cuda:1")


def test_reading_a_study_loads_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys; import segsearch.study.config; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_shipped_studies_can_be_read() -> None:
    for path in Path("studies").glob("*.yaml"):
        if path.stat().st_size:
            assert load_study(path).trials > 0


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "  finest:",
            "  finesse:",
            "own.yaml: holds a point that is no network: point: has no choice or no family 'finest'",
        ),
        (
            "      resnet:",
            "      vit:",
            "own.yaml: holds a point that is no network: .*has no choice or no family 'vit'",
        ),
        ("[P1, ", "[top, P1, ", "own.yaml: holds a point that is no network: .*'top' is not a level, P1 to P9"),
        ("P8, P9]", "P8, P99999999999]", "holds a point that is no network: .*'P99999999999' is not a level"),
        ("[all, P2, P3, P4,", "[P10, P11, P12, P13,", "holds a point that is no network: .*'P1[0-3]' is not a level"),
        ("[16, 32, 48,", "[16, 1000000000, 48,", "holds a point that is no network: .*less than or equal to 8192"),
    ],
)
def test_a_space_of_something_else_is_refused_before_the_first_trial(
    old: str, new: str, line: str, tmp_path: Path
) -> None:
    unified = Path("spaces/unified.yaml").read_text()
    (tmp_path / "own.yaml").write_text(unified.replace(old, new))
    assert old in unified
    with pytest.raises(InputError, match=line):
        prepare(parse_study(MINIMAL | {"space": str(tmp_path / "own.yaml")}, "x"))


@pytest.mark.parametrize(
    ("rungs", "said"),
    [
        ([0.25, 0.5], "rungs[0]: 0.25 is no number of epochs: a rung is a whole one, such as 2"),
        ([2, 2], "rungs [2, 2] must ascend"),
        ([6, 2], "rungs [6, 2] must ascend"),
        ([2, 9], "rung 9 must be less than the recipe's 9 epochs"),
        ([0, 2], "rungs[0]"),
    ],
)
def test_rungs_are_whole_epochs_on_the_way(rungs: list[object], said: str) -> None:
    with pytest.raises(InputError) as caught:
        study(rungs=rungs, recipe={"epochs": 9})
    assert said in str(caught.value)
    assert study(rungs=[2, 8], recipe={"epochs": 9}).rungs == (2, 8)
