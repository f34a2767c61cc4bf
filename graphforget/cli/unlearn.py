"""``graphforget unlearn``: a saved model and a request in, a new model folder out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from graphforget.base import UnlearnResult
from graphforget.cli.common import DataOptions, Force, Json, ModelClass, key_values, print_json, progress
from graphforget.exceptions import InputError
from graphforget.requests import DeletionRequest, Target

Options = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="KEY=VALUE", help="Parameter of the method, e.g. -o lr=0.01; may be repeated."),
]
RecipeOptions = Annotated[
    list[str] | None,
    typer.Option("--recipe", "-r", metavar="KEY=VALUE", help="How the model was trained (epochs, lr, ...), as gold will be."),
]

Ids = Annotated[str | None, typer.Option(metavar="ID,ID,...", help="Instead of a request file: ids, e.g. 3,17.")]
ItemsWith = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ATTRIBUTE=VALUE", help="All items with a value of an attribute, e.g. publisher=Ballantine; may be repeated."
    ),
]
Modality = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="The items named stay and lose these features only, e.g. --items 3,17 --modality image; may be repeated.",
    ),
]


def unlearn(
    model: Annotated[Path, typer.Option(help="Folder with model.safetensors and model.json, or an earlier result.")],
    data: Annotated[
        str, typer.Option(help="Dataset, package.module:function, or a .npz / .safetensors file, as before any deletion.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the result.")],
    request: Annotated[
        Path | None, typer.Option(help='Request file, e.g. {"targets": [{"kind": "edge", "ids": [[0, 1]]}]}.')
    ] = None,
    items: Ids = None,
    users: Ids = None,
    items_with: ItemsWith = None,
    modality: Modality = None,
    task: Annotated[
        str | None, typer.Option(help="Default: link_prediction, or recommendation where items or users are named.")
    ] = None,
    method: Annotated[str, typer.Option(help="How to forget: see `graphforget list methods`, or package.module:Class.")] = "auto",
    option: Options = None,
    recipe: RecipeOptions = None,
    model_class: ModelClass = None,
    data_option: DataOptions = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the run.")] = 0,
    device: Annotated[str | None, typer.Option(help="Where to compute, e.g. cuda; default: the CPU.")] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Remove data from a saved model."""
    from graphforget.pipeline.saved import unlearn_saved

    check_out(out, force, model, mixing=("suspended.json", "data.safetensors"))
    named = [("item", items), ("user", users)]
    asked = make_request(request, {kind: ids for kind, ids in named if ids is not None}, items_with or [], modality or [])
    with progress() as show:
        result = unlearn_saved(
            model,
            data,
            asked,
            task=task or ("link_prediction" if request is not None else "recommendation"),
            method=method,
            params=key_values(option, "-o"),
            recipe=key_values(recipe, "-r"),
            model_class=model_class,
            data_options=key_values(data_option, "-D"),
            seed=seed,
            device=device,
            progress=lambda step, total, values: show("unlearn", step, total, values),
        )
    from graphforget.pipeline import save_result

    save_result(result, out)
    record = {"out": str(out), **result.to_dict()}
    if json:
        print_json(record)
    else:
        for line in describe(result):
            typer.echo(line)
        typer.echo(f"saved:    {out}  (judge it with `graphforget evaluate {out} --data {data}`)")


def make_request(
    file: Path | None, ids: Mapping[str, str], items_with: list[str], modalities: list[str]
) -> Path | Callable[[Any], DeletionRequest]:
    """The request of the command line: a file, or a function of the data where users and items are named.

    Raises:
        InputError: None or both of them, a word that is no id or no ATTRIBUTE=VALUE, or a modality without items.
    """
    if file is not None:
        if ids or items_with or modalities:
            raise InputError("give either --request, or --items, --users, --items-with and --modality; not both.")
        return file
    if modalities and "item" not in ids and not items_with:
        raise InputError("--modality says what items lose: name them too, for example --items 3,17 --modality image.")
    if not ids and not items_with:
        raise InputError("say what to forget: --request FILE, or --items 3,17, --users 5, --items-with publisher=Ballantine.")
    numbers: dict[str, list[int]] = {}
    for kind, text in ids.items():
        words = [word.strip() for word in text.split(",")]
        if not all(word.isdecimal() for word in words):
            raise InputError(f"--{kind}s takes ids with commas between them, for example --{kind}s 3,17; got '{text}'.")
        numbers[kind] = [int(word) for word in words]
    wanted = [text.partition("=")[::2] for text in items_with]
    if not all(attribute.strip() and value.strip() for attribute, value in wanted):
        raise InputError("--items-with takes ATTRIBUTE=VALUE, for example --items-with publisher=Ballantine.")

    def from_data(data: Any) -> DeletionRequest:
        from graphforget.interactions.edit import having

        if not hasattr(data, "items_with") and (wanted or modalities):
            what = "--items-with needs data with item attributes" if wanted else "--modality needs data with item features"
            raise InputError(f"{what}; '{data.name}' has none.")
        targets = [Target("user", torch.tensor(numbers["user"]))] if "user" in numbers else []
        items = [torch.tensor(numbers["item"])] if "item" in numbers else []
        found = [data.items_with(attribute.strip(), value.strip()) for attribute, value in wanted]
        for name in modalities:
            # Of items that are found by what they have in common, those without the modality have nothing to lose.
            content = having(data, name) if found else None
            chosen = torch.cat(items + [one if content is None else one[content[one]] for one in found])
            if not len(chosen):
                raise InputError(f"no item with {' or '.join(items_with)} has features '{name}': there is nothing to forget.")
            targets.append(Target("modality", chosen, name=name))
        if not modalities:
            targets += [Target("item", one) for one in items + found]
        return DeletionRequest(tuple(targets), note=" ".join(f"items with {text}" for text in items_with))

    return from_data


def check_out(out: Path, force: bool, model: Path | None = None, *, mixing: tuple[str, ...] = ()) -> None:
    """Refuse to write over what is there.

    Args:
        out: The folder.
        force: Whether it need not be empty.
        model: The folder that is read.
        mixing: Files that are not written anew, and would be read as if they belonged to what is.

    Raises:
        InputError: A file, a folder that is not empty (without ``force``) or holds such a file, or the model's own folder.
    """
    if model is not None and out.resolve() == model.resolve():
        raise InputError(f"--out is the model's own folder '{out}'; give another folder, so that the original is kept.")
    if out.is_file():
        raise InputError(f"--out '{out}' is a file; give a folder.")
    if not force and out.is_dir() and any(out.iterdir()):
        raise InputError(f"the folder '{out}' is not empty; give another --out, or --force to write into it.")
    for name in mixing:
        if (out / name).is_file():
            raise InputError(f"'{out / name}' would be taken for a part of what is written to '{out}': give another --out.")


def describe(result: UnlearnResult) -> list[str]:
    """What changed, for people."""
    counts: dict[str, Any] = result.to_dict()["counts"]
    total = sum(1 for _ in result.model.parameters())
    changed = len(result.changed_parameters)
    names = ", ".join(result.changed_parameters[:4]) + (", ..." if changed > 4 else "")
    info, region = result.info, []
    if "region_share" in info:
        region = [f"region:   {info['region_rows']:,} rows can change, {info['region_share']:.2%} of the edge entries were read"]
    if info.get("note"):
        region.append(f"note:     {info['note']}")
    region += [f"note:     {note}" for note in result.split.notes]
    return [
        f"request:  {result.request.summary()}",
        f"method:   {result.label}, seed {result.seed}",
        f"examples: {counts['removed']} removed, {counts['altered']} altered, {counts['affected']} affected, "
        f"{counts['retain']} stay",
        f"weights:  {changed} of {total} parameters changed" + (f" ({names})" if changed else ""),
        f"serve on: the {result.serving.context} data",
        f"cost:     {result.cost.seconds:.2f} s, {result.cost.forward_examples:,} examples through a model",
        *region,
    ]
