"""Errors that a user can act on: one line that names the value, what is allowed, and the remedy."""

from __future__ import annotations


class LipsdbError(Exception):
    """Base of all errors that the command line shows as one line, without a traceback."""


class BadInputError(LipsdbError):
    """A value from the user (file, option, campaign) that is not allowed."""


class StoppedRunError(BadInputError):
    """A run that ended early for its extrapolation grade, where a whole one is needed: running again gives the same."""


class NotFoundError(LipsdbError):
    """A document, artifact or collection that was asked for is not in the database."""


class ServerError(LipsdbError):
    """The MongoDB server cannot be started or reached."""


class RefusedError(LipsdbError):
    """A result that fails a gate (unphysical, unconverged, incomplete) and is not stored.

    Parameters
    ----------
    message : str
        The value, what is allowed, the remedy.
    gate : str
        Which gate: 'scf', 'finite', 'size', 'structure', 'valence', 'level', 'file' …
    """

    def __init__(self, message: str, gate: str = "result") -> None:
        super().__init__(message)
        self.gate = gate


class InterruptedRunError(LipsdbError):
    """A program was stopped from outside (signal, lost server); running the job again continues it."""


class MissingProgramError(LipsdbError):
    """An external program (``lmp``, ``dp``, ``mongod`` …) is not installed or not on ``PATH``."""
