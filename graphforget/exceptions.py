"""The errors graphforget raises on purpose, and its warnings.

Every message is one sentence (or two): what was given, what was expected, what to type instead.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Sequence


class GraphForgetError(Exception):
    """Base of every error that graphforget raises on purpose."""


class InputError(GraphForgetError, ValueError):
    """Something the caller passed is wrong. The command line prints it and exits with code 2."""


class Reason(str):
    """Why a method cannot serve something: a sentence, and what it is about.

    Attributes:
        code: Name of the tag that is not met, such as ``"needs_history"``; else of the method's parameter that stands in the way,
            or ``"model"``.

    Example:
        >>> reason = Reason("scope", "scope='region' needs an input graph: use scope='full'")
        >>> reason.code, reason.endswith("use scope='full'")
        ('scope', True)
    """

    code: str

    def __new__(cls, code: str, text: str) -> Reason:
        made = super().__new__(cls, text)
        made.code = code
        return made

    def __reduce__(self) -> tuple[type[Reason], tuple[str, str]]:
        return Reason, (self.code, str(self))


class UnsupportedError(InputError):
    """A method cannot serve this task, request or model.

    Attributes:
        method: Its key.
        reasons: One sentence per reason, as given by :meth:`Unlearner.supports`; compare their ``code``, not their words.
    """

    def __init__(self, method: str, reasons: Sequence[Reason]) -> None:
        self.method, self.reasons = method, list(reasons)
        super().__init__(f"method '{method}' cannot do this: " + "; ".join(self.reasons))


class ViewError(InputError):
    """A part of a split was asked for in a context where its content no longer exists."""


class GraphForgetWarning(UserWarning):
    """Something was read in a way that may not be what the caller meant; the sentence also stands in the notes of the data."""


def say(notes: Iterable[str]) -> None:
    """Warn of each note, at the line outside of this package that led here."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("graphforget."):
        level, frame = level + 1, frame.f_back
    for note in notes:
        warnings.warn(note, GraphForgetWarning, stacklevel=level)
