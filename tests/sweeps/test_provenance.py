"""Records say where they come from, and name neither host nor user nor folder."""

from __future__ import annotations

import getpass
import json
import platform
import shutil
import subprocess
from pathlib import Path

import torch

import graphforget
from graphforget.sweeps import provenance as module
from graphforget.sweeps.provenance import provenance
from graphforget.version import __version__

ROOT = Path(graphforget.__file__).parents[1]


def git(*args: str, cwd: Path) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", *identity, *args], cwd=cwd, capture_output=True, text=True, check=True).stdout.strip()


def test_what_a_record_was_made_with() -> None:
    found = provenance("cuda:1")
    assert found["graphforget"] == __version__ and found["torch"] == str(torch.__version__)
    assert found["threads"] == torch.get_num_threads() and found["device"] == "cuda:1" and found["cores"] >= 1
    text = json.dumps(found)
    assert not any(name and name in text for name in (platform.node(), str(Path.home()), str(ROOT), f"/{getpass.getuser()}"))
    assert provenance()["device"] == "cpu"


def test_the_commit_is_that_of_a_checkout_that_tracks_the_code(tmp_path: Path) -> None:
    package = tmp_path / "checkout" / "graphforget"
    package.mkdir(parents=True)
    shutil.copy(ROOT / "graphforget" / "version.py", package / "version.py")
    assert module._commit(package, within=package) is None  # no checkout
    git("init", "-q", cwd=package.parent)
    git("commit", "-q", "--allow-empty", "-m", "one", cwd=package.parent)
    assert module._commit(package, within=package) is None  # installed inside somebody's checkout, by chance
    git("add", ".", cwd=package.parent)
    git("commit", "-q", "-m", "two", cwd=package.parent)
    head = git("rev-parse", "--short=12", "HEAD", cwd=package.parent)
    assert module._commit(package, within=package) == head == module._commit(package)
    (package / "version.py").write_text("changed")
    assert module._commit(package, within=package) == f"{head}+changes"
