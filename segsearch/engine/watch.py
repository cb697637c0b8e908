"""What a running study tells: the protocol that progress displays fulfil, and the one that tells nobody."""

from typing import Protocol

from segsearch.study.record import Proposal, TrialRecord


class StudyProgress(Protocol):
    """A listener; every call must be quick and must not raise."""

    def opened(self, name: str, wanted: int, records: list[TrialRecord]) -> None:
        """Hear that the study starts with the trials it already has; it is to have ``wanted`` trained ones."""

    def started(self, proposal: Proposal) -> None:
        """Hear that a trial begins."""

    def stage(self, number: int, what: str, done: int, total: int) -> None:
        """Hear that trial ``number`` is ``done`` of ``total`` through a stage: build, measure, train, evaluate."""

    def stage_ended(self, number: int) -> None:
        """Hear that a stage of a trial has ended, and another is to come."""

    def finished(self, record: TrialRecord) -> None:
        """Hear that a trial ended; its record is on disk."""

    def note(self, line: str) -> None:
        """Hear what a person should know."""

    def closed(self, line: str) -> None:
        """Hear that the study stops; ``line`` says why and what to do next."""


class Silent:
    """A listener that tells nobody."""

    def opened(self, name: str, wanted: int, records: list[TrialRecord]) -> None:
        """Say nothing."""

    def started(self, proposal: Proposal) -> None:
        """Say nothing."""

    def stage(self, number: int, what: str, done: int, total: int) -> None:
        """Say nothing."""

    def stage_ended(self, number: int) -> None:
        """Say nothing."""

    def finished(self, record: TrialRecord) -> None:
        """Say nothing."""

    def note(self, line: str) -> None:
        """Say nothing."""

    def closed(self, line: str) -> None:
        """Say nothing."""
