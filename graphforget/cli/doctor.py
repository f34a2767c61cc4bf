"""``graphforget doctor``: is everything in place?"""

from __future__ import annotations

import os
import platform
import tempfile
from importlib import metadata
from typing import Any

import typer

from graphforget.cli.common import Json, print_json
from graphforget.exceptions import InputError
from graphforget.home import data_root, home

_NEEDED = ("torch", "torch-geometric", "numpy", "scipy", "scikit-learn", "networkx", "safetensors", "pydantic", "typer", "rich")
_EXTRAS = {
    "plots": "matplotlib",
    "fast": "numba",
    "gpu": "triton",
    "dgl": "dgl",
    "partition": "pymetis",
    "text": "transformers",
    "diffusion": "diffusers",
}


def doctor(json: Json = False) -> None:
    """Print versions, devices, optional extras and folders; exit 2 when something is wrong."""
    facts = inspect_installation()
    if json:
        print_json(facts)
    else:
        for line in _lines(facts):
            typer.echo(line)
    raise typer.Exit(2 if facts["problems"] else 0)


def inspect_installation() -> dict[str, Any]:
    """Everything that ``doctor`` prints."""
    import torch

    from graphforget.version import __version__

    problems = [f"{package} is not installed: pip install {package}" for package in _NEEDED if _version(package) is None]
    folder = home()
    problem = _not_writable()
    if problem:
        problems.append(f"the cache folder '{folder}' cannot be written ({problem}): set GRAPHFORGET_HOME to another folder")
    try:
        root = data_root()
    except InputError as error:
        root = None
        problems.append(str(error).rstrip("."))
    return {
        "graphforget": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "versions": {package: _version(package) for package in _NEEDED},
        "extras": {extra: {"package": package, "version": _version(package)} for extra, package in _EXTRAS.items()},
        "devices": ["cpu", *(f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count()))],
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cache": {"folder": str(folder), "writable": problem is None},
        "data": None if root is None else str(root),
        "problems": problems,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _not_writable() -> str | None:
    """Why the cache folder, or the nearest existing folder above it, cannot be written; None when it can."""
    folder = home()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return (error.strerror or str(error)).lower()


def _lines(facts: dict[str, Any]) -> list[str]:
    cache = facts["cache"]
    lines = [f"graphforget {facts['graphforget']}, Python {facts['python']}, {facts['system']}", ""]
    lines += [f"{name:<16}{version or 'missing'}" for name, version in facts["versions"].items()]
    lines += ["", *(f"extra {name:<10}{e['package']} {e['version'] or 'not installed'}" for name, e in facts["extras"].items())]
    lines += [
        "",
        f"devices         {', '.join(facts['devices'])}",
        f"threads         {facts['threads']} of {facts['cpus']} CPUs",
        f"cache           {cache['folder']} ({'writable' if cache['writable'] else 'NOT writable'})",
        f"data            {facts['data'] or 'GRAPHFORGET_DATA is not set; raw data is downloaded when first used'}",
        "",
    ]
    return lines + ([f"problem: {problem}." for problem in facts["problems"]] or ["Everything is in place."])
