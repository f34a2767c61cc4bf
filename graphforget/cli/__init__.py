"""The command line: ``graphforget demo | run | sweep | unlearn | suspend | restore | recommend | evaluate | report | list |
doctor``.

Exit codes: 0 done; 1 a sweep has cells without records; 2 bad input, with one sentence on standard error; 3 the verdict is
"insufficient".
"""

from __future__ import annotations

import os

# Before torch starts its threads: waiting ones sleep instead of spinning, else a busy machine slows training several times over.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from graphforget.cli.app import app, main

__all__ = ["app", "main"]
