"""``graphforget unlearn``: a saved model and a request file in, a new model folder out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from graphforget.base import UnlearnResult
from graphforget.cli.common import DataOptions, Force, Json, ModelClass, key_values, print_json, progress
from graphforget.exceptions import InputError

Options = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", metavar="KEY=VALUE", help="Parameter of the method, e.g. -o lr=0.01; may be repeated."),
]
RecipeOptions = Annotated[
    list[str] | None,
    typer.Option("--recipe", "-r", metavar="KEY=VALUE", help="How the model was trained (epochs, lr, ...), as gold will be."),
]


def unlearn(
    model: Annotated[Path, typer.Option(help="Folder with model.safetensors and model.json, or an earlier result.")],
    data: Annotated[str, typer.Option(help="Dataset, or a .npz / .safetensors file, as before any deletion.")],
    request: Annotated[Path, typer.Option(help='Request file, e.g. {"targets": [{"kind": "edge", "ids": [[0, 1]]}]}.')],
    out: Annotated[Path, typer.Option(help="Folder for the result.")],
    task: Annotated[str, typer.Option(help="What the model is for; see `graphforget list tasks`.")] = "link_prediction",
    method: Annotated[str, typer.Option(help="How to forget; see `graphforget list methods`.")] = "auto",
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

    check_out(out, force, model)
    with progress() as show:
        result = unlearn_saved(
            model,
            data,
            request,
            task=task,
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


def check_out(out: Path, force: bool, model: Path | None = None) -> None:
    """Refuse to write over what is there.

    Raises:
        InputError: A file, a folder that is not empty (without ``force``), or the model's own folder.
    """
    if model is not None and out.resolve() == model.resolve():
        raise InputError(f"--out is the model's own folder '{out}'; give another folder, so that the original is kept.")
    if out.is_file():
        raise InputError(f"--out '{out}' is a file; give a folder.")
    if not force and out.is_dir() and any(out.iterdir()):
        raise InputError(f"the folder '{out}' is not empty; give another --out, or --force to write into it.")


def describe(result: UnlearnResult) -> list[str]:
    """What changed, for people."""
    counts: dict[str, Any] = result.to_dict()["counts"]
    total = sum(1 for _ in result.model.parameters())
    changed = len(result.changed_parameters)
    names = ", ".join(result.changed_parameters[:4]) + (", ..." if changed > 4 else "")
    return [
        f"request:  {result.request.summary()}",
        f"method:   {result.label}, seed {result.seed}",
        f"examples: {counts['removed']} removed, {counts['altered']} altered, {counts['affected']} affected, "
        f"{counts['retain']} stay",
        f"weights:  {changed} of {total} parameters changed" + (f" ({names})" if changed else ""),
        f"serve on: the {result.serving.context} data",
        f"cost:     {result.cost.seconds:.2f} s, {result.cost.forward_examples:,} examples through a model",
    ]
