"""Configurations are strict, complete, and equal after a round trip."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from graphforget.exceptions import InputError
from graphforget.pipeline.config import RunConfig, load_config

from .conftest import small_config

SHIPPED = sorted(p.stem for p in (Path(load_config.__code__.co_filename).parent / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_are_valid(name: str) -> None:
    assert load_config(name).name == name


def test_the_dump_shows_every_default_and_reads_back_equal(tmp_path) -> None:
    config = load_config(small_config(tmp_path))
    dumped = yaml.safe_load(config.to_yaml())
    assert dumped["task"]["recipe"] == {
        "epochs": 6,
        "lr": 0.02,
        "weight_decay": 0.0,
        "batch_size": None,
        "patience": None,
        "eval_every": 10,
        "fanout": None,
        "eval_batch_size": None,
    }
    assert dumped["task"]["num_hops"] == 2 and dumped["model"]["dropout"] == 0.0 and dumped["unlearner"]["lr"] is None
    judged = {"gold": 2, "margin": 1.25, "tolerance": 0.002, "cache_key": None, "metrics": [], "attacks": []}
    assert dumped["evaluate"] == judged
    again = load_config(dumped)
    assert again == config and again.digest() == config.digest()


def test_writing_a_default_out_changes_nothing_and_a_value_does(tmp_path) -> None:
    content = small_config(tmp_path)
    plain = load_config(content).digest()
    assert load_config(content, ["evaluate.margin=1.25", "model.num_layers=2", "seeds.original=0"]).digest() == plain
    assert load_config(content, ["unlearner.epochs=3"]).digest() != plain


def test_num_hops_follows_the_layers_of_the_model(tmp_path) -> None:
    assert load_config(small_config(tmp_path), ["model.num_layers=3"]).task.params["num_hops"] == 3
    assert load_config(small_config(tmp_path), ["model.num_layers=3", "task.num_hops=1"]).task.params["num_hops"] == 1


WRONG = [
    ("unlearner.lrr=1", "unlearner.lrr: unknown key; did you mean 'lr'?"),
    ("unlearner.lr=high", "unlearner.lr: expected a number or null, got 'high'."),
    ("unlearner.epochs=-1", "unlearner: epochs must be an integer of 0 or more"),
    ("unlearner.method=finetun", "unlearner.method: there is no 'finetun'; did you mean 'finetune'?"),
    ("compare.0.method=x", "compare.0.method: there is no 'x'"),
    ("compare.0.lr=1", "compare.0.lr: unknown key"),
    ("evaluate.golds=2", "evaluate.golds: unknown key; did you mean 'gold'?"),
    ("evaluate.gold=many", "evaluate.gold: expected a whole number, got 'many'."),
    ("evaluate.gold=0", "evaluate.gold: must be at least 1, got 0."),
    ("evaluate.margin=0", "evaluate.margin: must be above 0.0, got 0."),
    ("evaluate.metrics=[rq]", "evaluate.metrics: unknown metric 'rq': "),
    ("evaluate.attacks=[rmia]", "evaluate.attacks: the attack 'rmia' is not measured on request: "),
    ("evaluate.attacks=lira", "evaluate.attacks: expected a list, got 'lira'."),
    ("unlearner.method=os:system", "unlearner.method: method 'os:system' must be a class derived from Unlearner, got "),
    ("task.name=no_such:Task", "task.name: cannot import the task 'no_such:Task': No module named 'no_such'"),
    ("data={name: 'math:pi'}", "data.name: dataset 'math:pi' must be callable, got float."),
    ("model.name=math:gcd", "model.name: model 'math:gcd' must be a class derived from Module, got "),
    ("evaluate=3", "evaluate: expected a section with keys, got 3."),
    ("seeds.original=-1", "seeds.original: must be at least 0, got -1."),
    ("seeds.unlearn=[]", "seeds.unlearn: expected at least 1 entries."),
    ("name=a/b", "name: 'a/b' must match"),
    ("nme=a", "nme: unknown key; did you mean 'name'"),
    ("task.name=link", "task.name: there is no 'link'; "),
    ("task.recipe.epoch=2", "task.recipe.epoch: unknown key; did you mean 'epochs'?"),
    ("task.recipe.lr=fast", "task.recipe.lr: expected a number, got 'fast'."),
    ("task.hops=2", "task.hops: unknown key; did you mean 'num_hops'"),
    ("model.hidden=8", "model.hidden: unknown key; did you mean 'hidden_channels'?"),
    ("model.name=gnc", "model.name: there is no 'gnc'; did you mean 'gin' or 'gcn' or 'mgcn'?"),
    ("model.folder=x", "model: a saved model is given by folder: alone"),
    ("data.name=karate", "data: give either name:"),
    ("data={name: karat}", "data.name: there is no 'karat'; did you mean 'karate'?"),
    ("data={name: karate, sed: 1}", "data.sed: unknown key; did you mean 'seed'?"),
    ("request={target: edgy, ids: [1]}", "request: target 'edgy' is unknown; did you mean 'edge'"),
    ("request.size=0", "request: size must be above 0, got 0."),
    ("request.size=null", "request: where: and size: belong together"),
    ("request={}", "request: give one of file"),
    ("request={file: a.json, size: 3}", "request: a request file says itself"),
    ("request={target: modality, ids: [1]}", "request: name: belongs to target: modality"),
    ("request={target: user, where: owner, value: x}", "request: value: names all items with it"),
    ("request={target: item, where: owner, value: x, size: 2}", "request: value: names all items with it"),
    ("request={target: item, value: x}", "request: give one of file:"),
    ("request={target: item, where: owner, value: x, label: 3}", "request: unknown key 'label'"),
    ("request={target: edge, name: image, ids: [[0, 1]]}", "request: name: belongs to target: modality"),
    ("request={file: a.json, hops: 3}", "request: unknown key 'hops'"),
    ("device=abacus", "device: the device 'abacus' is not available here"),
]


@pytest.mark.parametrize(("override", "message"), WRONG, ids=[o for o, _ in WRONG])
def test_what_is_wrong_is_named_with_its_place(tmp_path, override: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_config(small_config(tmp_path), [override])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_recipe_file_is_named_with_the_line(tmp_path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(yaml.safe_dump(small_config(tmp_path), sort_keys=False) + "evaluat:\n  gold: 1\n")
    line = len(recipe.read_text().splitlines()) - 1
    with pytest.raises(InputError) as caught:
        load_config(recipe)
    assert str(caught.value) == f"{recipe}, line {line}: evaluat: unknown key; did you mean 'evaluate'?"


def test_several_findings_are_counted_and_a_missing_section_is_named() -> None:
    with pytest.raises(InputError, match=r"^data: missing; this key is required\. \(and 2 more\)$"):
        load_config({"task": {"name": "link_prediction"}})
    with pytest.raises(InputError, match="a configuration is a recipe file, a mapping or a RunConfig, got int"):
        load_config(3)  # type: ignore[arg-type]
    assert set(RunConfig.model_fields) >= {"data", "task", "model", "request", "unlearner"}


def test_canaries_are_an_option_of_any_dataset_and_written_out_only_when_asked_for() -> None:
    plain = {"data": {"name": "tastes"}, "task": {"name": "recommendation"}, "model": {"name": "bprmf"}} | {
        "request": {"target": "item", "ids": [3]}
    }
    assert "canary" not in load_config(plain).data.params
    assert load_config(plain, ["data.canary=0.02"]).data.params["canary"] == 0.02
    with pytest.raises(InputError, match="data.canary: expected a number"):
        load_config(plain, ["data.canary=few"])
    with pytest.raises(InputError, match="data.canaries: unknown key"):
        load_config(plain, ["data.canaries=0.02"])
