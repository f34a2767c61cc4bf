"""The command line: ``graphforget demo | run | unlearn | evaluate | report | list | doctor``.

Exit codes: 0 done; 2 bad input, with one sentence on standard error; 3 the verdict is "insufficient".
"""

from __future__ import annotations

from graphforget.cli.app import app, main

__all__ = ["app", "main"]
