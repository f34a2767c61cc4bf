"""``graphforget suspend``: take users and items off the lists of a saved recommender, and put them back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from graphforget.cli.common import (
    DataOptions,
    ItemIds,
    Json,
    MadeBy,
    ModelClass,
    ServedData,
    ServedFolder,
    UserIds,
    key_values,
    print_json,
)
from graphforget.cli.unlearn import ItemsWith, make_request
from graphforget.exceptions import InputError


def suspend(
    folder: ServedFolder,
    items: ItemIds = None,
    users: UserIds = None,
    items_with: ItemsWith = None,
    request: Annotated[Path | None, typer.Option(help="Request file that names users and items.")] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Serve them again.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="With --lift: all that is suspended.")] = False,
    data: ServedData = None,
    data_option: DataOptions = None,
    model_class: ModelClass = None,
    method: MadeBy = None,
    json: Json = False,
) -> None:
    """Stop serving users and items at once, reversibly: `graphforget recommend` leaves them out. Nothing is forgotten."""
    from graphforget.pipeline.serving import load_served, suspend_saved

    ids = {kind: text for kind, text in (("item", items), ("user", users)) if text is not None}
    named = bool(ids or items_with or request is not None)
    if everything and (named or not lift):
        raise InputError("--all belongs to --lift, and takes off all that is suspended: name nothing else.")
    if not named and not everything:
        more = ", or --lift --all" if lift else ""
        raise InputError(f"say what: --items 3,17, --users 5, --items-with publisher=Ballantine, or --request FILE{more}.")
    asked = make_request(request, ids, items_with or [], []) if named else None
    before = load_served(folder, data, model_class=model_class, method=method, data_options=key_values(data_option, "-D"))
    now = suspend_saved(before, _resolve(asked, before), lift=lift)
    suspended = {side: number.tolist() for side, number in now.suspended.items()}
    if json:
        print_json({"folder": str(now.folder), "data": dict(now.source), "suspended": suspended})
        return
    counts = ", ".join(f"{len(numbers):,} {side}{'s' if len(numbers) > 1 else ''}" for side, numbers in suspended.items())
    typer.echo(f"suspended: {counts or 'nothing'}")
    typer.echo(f"folder:    {now.folder}  (see `graphforget recommend {folder} --user ID`)")


def _resolve(asked: Any, served: Any) -> Any:
    """The request; everything that is suspended where none was made.

    Raises:
        InputError: Nothing is suspended.
    """
    from graphforget.requests import DeletionRequest, Target

    if callable(asked):
        return asked(served.data)
    if asked is not None:
        return DeletionRequest.load(asked)
    if not any(len(ids) for ids in served.suspended.values()):
        raise InputError(f"nothing is suspended in '{served.folder}'.")
    return DeletionRequest(tuple(Target(side, ids) for side, ids in served.suspended.items()))
