"""Where a record comes from: versions, commit, processor, threads, time. No host and no user is named."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from graphforget.version import __version__


@functools.cache
def _fixed() -> dict[str, Any]:
    """Read once per process: a sweep runs for hours, and a commit made meanwhile is not what it measures."""
    found = {"graphforget": __version__, "torch": str(torch.__version__), "python": platform.python_version()}
    package = Path(__file__).resolve().parents[1]
    commit = _commit(package, within=package)
    project = _commit(Path.cwd())
    if commit is not None:
        found["commit"] = commit
    if project not in (None, commit):
        found["project_commit"] = project  # the checkout that the sweep was started in, with methods from outside
    return found | {"processor": _processor(), "cores": os.cpu_count()}


def provenance(device: str | None = None) -> dict[str, Any]:
    """Provenance of a record written now.

    Args:
        device: Where methods computed; None is the CPU.
    """
    where = {"device": device or "cpu", "threads": torch.get_num_threads()}
    return {**_fixed(), **where, "time": datetime.now(timezone.utc).isoformat(timespec="seconds")}


def _commit(folder: Path, within: Path | None = None) -> str | None:
    """The commit of a checkout, marked where tracked code was changed; None outside one.

    Args:
        folder: Where to look.
        within: A folder that the checkout must track: an installed package may lie inside somebody's checkout by chance.
    """

    def git(*args: str) -> str | None:
        try:
            done = subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=False)
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if within is not None and git("ls-files", "--error-unmatch", str(within / "version.py")) is None:
        return None
    head, top = git("rev-parse", "--short=12", "HEAD"), git("rev-parse", "--show-toplevel")
    if not head or not top:
        return None
    # Results change while they are made; only code makes a tree dirty.
    dirty = git("-C", top, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!*.jsonl")
    return head + ("+changes" if dirty else "")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
