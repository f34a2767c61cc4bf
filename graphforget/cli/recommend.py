"""``graphforget recommend``: the lists of a saved recommender, as they are to be served."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from graphforget.cli.common import (
    DataOptions,
    Json,
    MadeBy,
    ModelClass,
    ServedData,
    ServedFolder,
    UserIds,
    id_list,
    key_values,
    print_json,
    show_table,
)
from graphforget.exceptions import InputError


def recommend(
    folder: ServedFolder,
    users: UserIds = None,
    top: Annotated[int, typer.Option(min=1, help="Length of the lists.")] = 20,
    data: ServedData = None,
    data_option: DataOptions = None,
    model_class: ModelClass = None,
    method: MadeBy = None,
    json: Json = False,
) -> None:
    """Ranked items for users: none that the user has, none that is forgotten, denied or suspended."""
    from graphforget.pipeline.serving import load_served

    if users is None:
        raise InputError("say for whom: --user 12, or --users 12,40.")
    ids = list(dict.fromkeys(id_list("--users", users)))
    served = load_served(folder, data, model_class=model_class, method=method, data_options=key_values(data_option, "-D"))
    rows = served.recommend(ids, top_k=min(top, served.data.num_items)).tolist()
    columns = _known(served.data)
    lists: list[dict[str, Any]] = []
    for user, row in zip(ids, rows, strict=True):
        items = [{"item": item} | {name: column[item] for name, column in columns.items()} for item in row if item >= 0]
        lists.append({"user": user, "items": items, "why_empty": None if items else served.why_empty(user) or "no item is left"})
    if json:
        counts = {side: len(numbers) for side, numbers in served.deny.items()}
        print_json({"folder": str(served.folder), "data": dict(served.source), "denied": counts, "lists": lists})
        return
    for number, one in enumerate(lists):
        typer.echo(("\n" if number else "") + f"user {one['user']}" + (f": {one['why_empty']}" if one["why_empty"] else ""))
        if one["items"]:
            body = [[str(place), *(str(value) for value in item.values())] for place, item in enumerate(one["items"], 1)]
            show_table(["rank", "item", *columns], body)


def _known(data: Any) -> dict[str, list[str]]:
    """What names an item, by item: its own name, and its title where there is such an attribute."""
    columns: dict[str, list[str]] = {}
    if data.item_names is not None:
        columns["name"] = list(data.item_names)
    if "title" in data.attributes:
        titles, one = [""] * data.num_items, data.attributes["title"]
        for item, value in one.pairs.tolist():
            titles[item] = one.values[value]
        columns["title"] = titles
    return columns
