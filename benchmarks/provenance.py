"""Where a figure comes from: versions, hardware, threads, git commit, time."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

import graphforget


def _fixed() -> dict[str, Any]:
    root = Path(__file__).resolve().parents[1]

    def git(*args: str) -> str:
        return subprocess.run(["git", *args], cwd=root, capture_output=True, text=True, check=False).stdout.strip()

    # Result files change while a benchmark runs; only code makes a tree dirty.
    dirty = bool(git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results"))
    return {
        "graphforget": graphforget.__version__,
        "commit": git("rev-parse", "--short=12", "HEAD") + ("+changes" if dirty else ""),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": "cpu",
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


# Read when the code is loaded: a benchmark runs for hours, and a commit made meanwhile is not what it measures.
_FIXED = _fixed()


def provenance() -> dict[str, Any]:
    """Provenance of a record written now."""
    return {**_FIXED, "threads": torch.get_num_threads(), "time": datetime.now(timezone.utc).isoformat(timespec="seconds")}
