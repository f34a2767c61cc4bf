"""Run folders: ``runs/<name>/<utc>-<digest8>/``, with a status that says which stages are finished and for what content."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from graphforget.exceptions import InputError
from graphforget.home import write_json, write_text
from graphforget.pipeline.config import RunConfig
from graphforget.reporting import Report

STAGES = ("data", "request", "original", "unlearn", "gold", "evaluate", "report")
_FORMAT = "graphforget.run/1"


@dataclass(frozen=True, eq=False)
class RunFolder:
    """A run on disk.

    Attributes:
        path: The folder.
        skipped: Stages that were found finished and not done again by the call that returned this.
        report: The report as this call left it.
    """

    path: Path
    skipped: tuple[str, ...]
    report: Report = field(repr=False)

    @property
    def status(self) -> dict[str, Any]:
        """The content of ``status.json``."""
        return Status(self.path).content

    @property
    def html(self) -> Path:
        """The report as a page."""
        return self.path / "report.html"


def read_report(path: str | Path) -> Report:
    """The report of a run folder, of a folder with ``report.json``, or of such a file.

    Raises:
        InputError: There is none, or it is damaged.
    """
    file = Path(path)
    if file.is_dir() or not file.suffix:
        file = file / "report.json"
    try:
        return Report.from_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"there is no report in '{path}': expected a folder with report.json, as `graphforget run` writes it."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read '{file}': {error}.") from None
    except InputError as error:
        raise InputError(f"'{file}': {error}") from None


class Status:
    """``status.json``: the state of the run and, for every finished stage, the digest of what went in and came out.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "status.json"
        self.content: dict[str, Any] = {"format": _FORMAT, "state": "new", "stages": {}}
        if self.file.is_file():
            try:
                found = json.loads(self.file.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError, json.JSONDecodeError):
                found = None  # a damaged status only costs time: every stage is done again
            if isinstance(found, dict) and found.get("format") == _FORMAT and isinstance(found.get("stages"), dict):
                self.content = found

    def finished(self, stage: str, key: str) -> bool:
        """Whether the stage is done for this content and its files are still what they were."""
        entry = self.content["stages"].get(stage)
        if not entry or entry["state"] != "done" or entry["key"] != key:
            return False
        return all(
            (self.folder / name).is_file() and file_digest(self.folder / name) == digest
            for name, digest in entry["files"].items()
        )

    def start(self, stage: str, key: str) -> None:
        """Note that a stage has begun; ``times`` counts how often it did."""
        before = self.content["stages"].get(stage, {})
        self.content["stages"][stage] = {"state": "running", "key": key, "times": int(before.get("times", 0)) + 1, "files": {}}
        self._write("running")

    def finish(self, stage: str, files: list[Path], seconds: float, facts: dict[str, Any]) -> None:
        """Note that a stage is done, with the digests of what it wrote."""
        names = {file.relative_to(self.folder).as_posix(): file_digest(file) for file in sorted(files)}
        self.content["stages"][stage] |= {
            "state": "done",
            "files": names,
            "seconds": round(seconds, 3),
            "facts": facts,
            "finished": _now(),
        }
        self._write("running")

    def facts(self, stage: str) -> dict[str, Any]:
        """What a finished stage noted."""
        return dict(self.content["stages"][stage].get("facts", {}))

    def close(self, state: str, message: str = "") -> None:
        """Note how the run ended: ``done`` or ``failed``."""
        self.content.pop("message", None)
        if message:
            self.content["message"] = message
        self._write(state)

    def _write(self, state: str) -> None:
        self.content |= {"state": state, "time": _now()}
        write_json(self.file, self.content)


def open_folder(config: RunConfig, runs: str | Path, *, resume: bool) -> Path:
    """The newest folder of this very configuration, or a new one.

    Raises:
        InputError: The folder cannot be written.
    """
    short = config.digest()[:8]
    parent = Path(runs) / config.name
    if resume and parent.is_dir():
        found = sorted(path for path in parent.glob(f"*-{short}") if (path / "config.yaml").is_file())
        if found:
            return found[-1]
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S%fZ")
    path = parent / f"{stamp}-{short}"
    try:
        path.mkdir(parents=True)
        write_text(path / "config.yaml", config.to_yaml())
    except OSError as error:
        raise InputError(
            f"cannot write the run folder '{path}': {(error.strerror or str(error)).lower()}; choose another with --folder."
        ) from None
    return path


def write_environment(path: Path, config: RunConfig) -> None:
    """``environment.json``: versions, hardware, git commit, seeds."""
    from importlib import metadata

    versions: dict[str, str | None] = {}
    for package in ("torch", "torch-geometric", "numpy", "scipy", "scikit-learn", "networkx", "safetensors", "pydantic"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    from graphforget.version import __version__

    write_json(
        path / "environment.json",
        {
            "graphforget": __version__,
            "python": platform.python_version(),
            "versions": versions,
            "hardware": {
                "machine": platform.machine(),
                "system": f"{platform.system()} {platform.release()}",
                "cpus": os.cpu_count(),
                "threads": torch.get_num_threads(),
                "accelerators": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
            },
            "git_commit": git_commit(),
            "seeds": config.seeds.model_dump(mode="json"),
            "request_seed": config.request.seed,
            "config_digest": config.digest(),
            "written": _now(),
        },
    )


def git_commit(start: Path | None = None) -> str | None:
    """The commit of the checkout around the working directory; None outside one."""
    folder = (start or Path.cwd()).resolve()
    for parent in (folder, *folder.parents):
        head = parent / ".git" / "HEAD"
        try:
            if not head.is_file():
                continue
            text = head.read_text(encoding="utf-8").strip()
            if not text.startswith("ref: "):
                return text
            name = text.removeprefix("ref: ")
            loose = parent / ".git" / name
            if loose.is_file():
                return loose.read_text(encoding="utf-8").strip()
            packed = (parent / ".git" / "packed-refs").read_text(encoding="utf-8").splitlines()
            return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)
        except OSError:
            return None
    return None


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    hasher = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            hasher.update(block)
    return hasher.hexdigest()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
