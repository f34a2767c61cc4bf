"""The errors graphforget raises on purpose.

Every message is one sentence (or two): what was given, what was expected, what to type instead.
"""

from __future__ import annotations


class GraphForgetError(Exception):
    """Base of every error that graphforget raises on purpose."""


class InputError(GraphForgetError, ValueError):
    """Something the caller passed is wrong. The command line prints it and exits with code 2."""


class UnsupportedError(InputError):
    """A method cannot serve this task, request or model.

    Attributes:
        reasons: One sentence per reason, as given by :meth:`Unlearner.supports`.
    """

    def __init__(self, method: str, reasons: list[str]) -> None:
        self.method, self.reasons = method, list(reasons)
        super().__init__(f"method '{method}' cannot do this: " + "; ".join(self.reasons))


class ViewError(InputError):
    """A part of a split was asked for in a context where its content no longer exists."""
