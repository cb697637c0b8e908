"""A study open in its folder, by one process at a time: for those that run it, and for those that ask it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from segsearch.engine.pace import Pace
from segsearch.engine.prepare import Study, Target, prepare
from segsearch.engine.watch import StudyProgress
from segsearch.errors import InputError
from segsearch.files import make_folder
from segsearch.lock import locked
from segsearch.provenance import commit, versions
from segsearch.samplers.proposals import too_small
from segsearch.study.config import StudyConfig
from segsearch.study.store import StudyFolder


@dataclass(frozen=True)
class Opened:
    """What is at hand while a study is open."""

    study: Study
    store: StudyFolder
    pace: Pace


@contextmanager
def opened(config: StudyConfig, folder: Path, target: Target | None, progress: StudyProgress) -> Iterator[Opened]:
    """Hold a study's folder, which says what is searched and what earlier studies teach, and tell of the data.

    At the end of the block, or an error in it, the time taken is written down, and that nothing of it is under way.

    Args:
        config: what to search.
        folder: where the study lies; made if missing.
        target: as for `prepare`.
        progress: told what a person should know.

    Raises:
        InputError: the study cannot be, the folder holds another one or is in use, or the disk is full.
        DeviceError, MissingExtraError: as `prepare`.
    """
    study, store = prepare(config, target, folder), StudyFolder(folder)
    commit(), versions()  # of the code that runs now: somebody may check out another while it does
    make_folder(folder)
    with locked(folder):
        store.begin(study.file)
        study.warm.keep(folder)
        pace = Pace(config, store)
        for note in study.notes:
            progress.note(f"data: {note}")
        for note in study.warm.notes:
            progress.note(note)
        for name in too_small(study.named, study.setup.size_hw):
            progress.note(f"{name} is left out: images of {config.data.size} are too small for it")
        try:
            yield Opened(study, store, pace)
            pace.write()
        except BaseException:
            with suppress(InputError):  # what was raised says more
                pace.write()
            raise
        finally:
            store.leave()
