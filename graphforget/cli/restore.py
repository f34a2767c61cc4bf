"""``graphforget restore``: forgotten items come back under new ids."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from graphforget.cli.common import (
    DataOptions,
    Force,
    ItemIds,
    Json,
    MadeBy,
    ModelClass,
    ServedData,
    ServedFolder,
    id_list,
    key_values,
    print_json,
    show_table,
)
from graphforget.cli.unlearn import ItemsWith, check_out
from graphforget.exceptions import InputError


def restore(
    folder: ServedFolder,
    out: Annotated[Path, typer.Option(help="Folder for the grown model and its data.")],
    items: ItemIds = None,
    items_with: ItemsWith = None,
    data: ServedData = None,
    data_option: DataOptions = None,
    model_class: ModelClass = None,
    method: MadeBy = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the fresh rows.")] = 0,
    force: Force = False,
    json: Json = False,
) -> None:
    """Take forgotten items back under new ids, with their content and without their past; old slots stay empty."""
    from graphforget.api import restore as take_back
    from graphforget.pipeline.serving import load_served, save_restored

    check_out(out, force, folder, mixing=("suspended.json", "result.json"))
    if items is None and not items_with:
        raise InputError("say which items come back: --items 3,17, by their old ids, or --items-with publisher=Ballantine.")
    given = id_list("--items", items) if items is not None else []
    served = load_served(folder, data, model_class=model_class, method=method, data_options=key_values(data_option, "-D"))
    if served.result is None or served.result.serving.context == "original":
        raise InputError(f"nothing was forgotten from the model in '{served.folder}', so there is nothing to restore.")
    old = sorted({*given, *(item for text in items_with or [] for item in _forgotten_with(served.result, text))})
    paused = {*served.suspended["item"].tolist()} if "item" in served.suspended else set()
    if paused & {*old}:
        some = min(paused & {*old})
        raise InputError(f"item {some} is only suspended: `graphforget suspend {folder} --lift --items {some}` serves it again.")
    restored = take_back(served.result, old, seed=seed)
    save_restored(out, restored.model, restored.data, restored.task, restored.new_ids, served)
    if json:
        ids = [{"old": one, "new": new} for one, new in sorted(restored.new_ids.items())]
        print_json({"out": str(out), "data": str(out / "data.safetensors"), "items": ids, "num_items": restored.data.num_items})
        return
    names = restored.data.item_names
    body = [[str(one), str(new), *([names[new]] if names else [])] for one, new in sorted(restored.new_ids.items())]
    show_table(["old id", "new id", *(["name"] if names else [])], body)
    typer.echo(f"saved: {out}  (its data are {out / 'data.safetensors'})")


def _forgotten_with(result: Any, text: str) -> list[int]:
    """Forgotten items that had a value of an attribute.

    Raises:
        InputError: No ATTRIBUTE=VALUE, an unknown one, or all of these items are there.
    """
    attribute, _, value = text.partition("=")
    if not attribute.strip() or not value.strip():
        raise InputError("--items-with takes ATTRIBUTE=VALUE, for example --items-with publisher=Ballantine.")
    found = result.split.lineage.data.items_with(attribute.strip(), value.strip())
    gone = found[~result.split.retain_data.alive_items[found]]
    if not len(gone):
        raise InputError(f"no item with {attribute.strip()}={value.strip()} was forgotten.")
    return list(gone.tolist())
