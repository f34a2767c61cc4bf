"""Models on disk: weights in safetensors, structure in JSON. Nothing is unpickled.

``model.json`` names the class by import path. Loading a class that is not graphforget's runs that class's code, so either it is
installed for graphforget (an entry point in the group ``graphforget.models``, see :mod:`graphforget.registry`), or the caller
names it (``model_class=`` or ``--model-class``); a file never decides on its own which code runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from graphforget.base.capabilities import config_of
from graphforget.base.edits import ModelEdit, replay
from graphforget.exceptions import InputError
from graphforget.home import replacing, write_text
from graphforget.registry import declared_class, import_path

GROUP = "graphforget.models"  # of the entry points of installed packages
WEIGHTS, STRUCTURE = "model.safetensors", "model.json"


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors to ``path`` atomically; shared storage is written out once per name."""
    from safetensors.torch import save_file

    content = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        save_file(content, str(temporary))


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read a safetensors file, or a foreign ``.pt`` checkpoint with ``weights_only=True``.

    Raises:
        InputError: Missing, unreadable, or not a mapping of names to tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(path)
    if not path.is_file():
        raise InputError(f"no weights file '{path}': expected a .safetensors file (or a .pt state dict).")
    try:
        if path.suffix == ".safetensors":
            return load_file(str(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError) as error:
        raise InputError(f"'{path}' is not a readable safetensors file: {error}.") from None
    except Exception as error:  # torch.load raises UnpicklingError, RuntimeError, EOFError ... for foreign files
        raise InputError(
            f"'{path}' is not a checkpoint that loads with weights_only=True ({type(error).__name__}); "
            f"save its state_dict() as safetensors."
        ) from None
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise InputError(f"'{path}' does not hold a state dict (names to tensors); save model.state_dict().")
    return dict(content)


def import_class(path: str) -> type[nn.Module]:
    """The ``nn.Module`` class named ``"package.module:Class"``. Importing runs that module's code.

    Raises:
        InputError: Not such a path, not importable, or not a module class.
    """
    cls = import_path(path, "model class")
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise InputError(f"'{path}' is not a torch.nn.Module class.")
    return cls


def class_path(model: nn.Module) -> str:
    """``"package.module:Class"`` of a model."""
    return f"{type(model).__module__}:{type(model).__qualname__}"


def save_model(model: nn.Module, folder: str | Path, *, edits: tuple[ModelEdit, ...] = ()) -> Path:
    """Write ``model.safetensors`` and ``model.json`` into ``folder``."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_tensors(model.state_dict(), folder / WEIGHTS)
    structure = {
        "format": "graphforget.model/1",
        "class": class_path(model),
        "config": config_of(model),
        "edits": [asdict(e) for e in edits],
    }
    write_text(folder / STRUCTURE, json.dumps(structure, indent=1))
    return folder


def read_structure(folder: str | Path) -> dict[str, Any]:
    """The content of ``model.json``.

    Raises:
        InputError: Missing or not such a file.
    """
    path = Path(folder) / STRUCTURE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"no '{STRUCTURE}' in '{folder}': a saved model is a folder with {WEIGHTS} and {STRUCTURE}, "
            f"as written by graphforget.save_model."
        ) from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"cannot read '{path}': {error}.") from None
    if not isinstance(content, dict) or "class" not in content:
        raise InputError(f"'{path}' does not describe a model: the key 'class' is missing.")
    return content


def load_model(
    folder: str | Path, *, model: nn.Module | None = None, model_class: str | None = None
) -> tuple[nn.Module, tuple[ModelEdit, ...]]:
    """Read a saved model and the operators in it.

    Args:
        folder: Folder written by :func:`save_model`.
        model: A freshly built module to load into, for classes that cannot be rebuilt from a configuration.
        model_class: ``"package.module:Class"`` of a class outside graphforget; its code runs.

    Raises:
        InputError: Unreadable files, a class that is neither ours, nor installed, nor named, or weights that do not fit.
    """
    structure = read_structure(folder)
    edits = tuple(ModelEdit(**entry) for entry in structure.get("edits", ()))
    if model is None:
        path = model_class or structure["class"]
        cls = import_class(path) if model_class or path.startswith("graphforget.") else declared_class(GROUP, path)
        if cls is None:
            raise InputError(
                f"this model is a '{path}', which is not part of graphforget: name it with "
                f"model_class='{path}' (--model-class {path}) to let its code run."
            )
        config = structure.get("config")
        try:
            model = cls(**(config or {}))
        except TypeError as error:
            raise InputError(
                f"cannot build '{path}' from its saved configuration ({error}); give the class a `config` "
                f"property with its constructor arguments, or pass model=."
            ) from None
    replay(model, edits)
    load_weights(model, load_tensors(Path(folder) / WEIGHTS))
    return model, edits


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load a state dict, or say in one sentence what does not fit.

    Raises:
        InputError: Missing, unexpected or differently shaped entries.
    """
    own = model.state_dict()
    missing, extra = sorted(set(own) - set(tensors)), sorted(set(tensors) - set(own))
    if missing or extra:
        raise InputError(
            f"the weights do not fit {type(model).__name__}: missing {missing[:3] or 'none'}, unexpected {extra[:3] or 'none'}."
        )
    for name, tensor in tensors.items():
        if own[name].shape != tensor.shape:
            raise InputError(
                f"the weights do not fit {type(model).__name__}: '{name}' has shape {list(tensor.shape)}, "
                f"the model expects {list(own[name].shape)}."
            )
    model.load_state_dict(dict(tensors))
