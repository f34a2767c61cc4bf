"""What holds for every recommender that reads the interaction graph."""

from __future__ import annotations

import json

import pytest
import torch

from graphforget import models
from graphforget.base import load_model, save_model
from graphforget.exceptions import InputError
from graphforget.interactions import InteractionGraph, Interactions, remove_items
from graphforget.models.recommender.base import mean_of_layers

from .conftest import NUM_ITEMS, NUM_USERS, dense_adjacency, make_data

WITH_CONTENT = ("VBPR", "MGCN", "BM3", "FREEDOM", "LATTICE", "MMGCN")
TRAINED = ("LightGCN", *WITH_CONTENT)


def make(name: str, seed: int = 0, **params):
    torch.manual_seed(seed)
    modalities = {"modalities": {"image": 5, "audio": 3}} if name in WITH_CONTENT else {}
    k = {"k": 3} if name in ("MGCN", "FREEDOM", "LATTICE") else {}
    dim = {} if name == "EASE" else {"dim": 4}
    return getattr(models, name)(NUM_USERS, NUM_ITEMS, **modalities, **k, **dim, **params).eval()


@pytest.mark.parametrize("name", TRAINED)
def test_rows_that_are_asked_for_are_the_rows_of_the_whole(name, graph):
    model = make(name)
    users, items = torch.tensor([6, 0, 2]), torch.tensor([8, 3, 4, 0])
    whole, part = model(graph), model(graph, users, items)
    assert torch.allclose(part.users, whole.users[users], atol=1e-6)
    assert torch.allclose(part.items, whole.items[items], atol=1e-6)
    rows, columns = torch.tensor([0, 2, 2]), torch.tensor([1, 3, 0])
    expected = whole.users[users] @ whole.items[items].t()
    assert torch.allclose(part.scores(torch.arange(3)), expected, atol=1e-5)
    assert torch.allclose(part.pair_scores(rows, columns), expected[rows, columns], atol=1e-5)


@pytest.mark.parametrize("name", (*TRAINED, "EASE"))
def test_config_rebuilds_and_saving_keeps_the_scores(name, graph, tmp_path):
    model = make(name)
    assert type(model)(**json.loads(json.dumps(model.config))).config == model.config
    save_model(model, tmp_path)
    loaded = load_model(tmp_path)[0].eval()
    users = torch.arange(NUM_USERS)
    assert torch.allclose(loaded(graph).scores(users), model(graph).scores(users))


@pytest.mark.parametrize("name", TRAINED)
def test_reset_follows_the_generator_and_sets_everything(name):
    model, twin, other = make(name), make(name), make(name, seed=1)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.fill_(float("nan"))
    torch.manual_seed(3)
    twin.reset_parameters()
    assert all(bool(p.isfinite().all()) for p in twin.parameters())
    torch.manual_seed(3)
    model.reset_parameters()
    state, again, elsewhere = model.state_dict(), twin.state_dict(), other.state_dict()
    assert all(torch.equal(state[k], again[k]) for k in state)
    assert not torch.equal(state["item_embedding.weight"], elsewhere["item_embedding.weight"])


@pytest.mark.parametrize("name", TRAINED)
def test_nothing_of_the_graph_stays_in_the_model(name, data, graph):
    model = make(name)
    held = sum(p.numel() for p in model.parameters()) + sum(b.numel() for b in model.buffers())
    keys, fields = set(model.state_dict()), set(vars(model))
    model.train()
    model(graph)
    assert set(model.state_dict()) == keys and set(vars(model)) == fields
    assert held == sum(p.numel() for p in model.parameters()) + sum(b.numel() for b in model.buffers())
    # Served on other data, it reads those.
    model.eval()
    after = InteractionGraph(remove_items(data, [0]))
    assert not torch.allclose(model(graph).users, model(after).users) or name == "VBPR"


@pytest.mark.parametrize("name", WITH_CONTENT)
def test_forgotten_features_are_not_read_and_do_not_spoil_gradients(name, data):
    after = remove_items(data, [1, 2])
    assert bool(after.features["image"][1].isnan().all())
    model = make(name).train()
    encoded = model(InteractionGraph(after), torch.arange(NUM_USERS), torch.tensor([0, 3, 4, 5]))
    rows = torch.tensor([0, 1])
    loss = encoded.pair_scores(rows, rows).sum() + model.penalty(encoded, rows, rows, rows + 2, l2=0.1)
    loss.backward()
    assert bool(loss.isfinite())
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", TRAINED)
def test_every_parameter_learns_from_a_batch(name, graph):
    model = make(name, **({"edge_dropout": 0.0} if name == "FREEDOM" else {})).train()
    encoded = model(graph)
    users, items = torch.arange(NUM_USERS), torch.arange(NUM_USERS)
    total = encoded.pair_scores(users, items).sum() + model.penalty(encoded, users, items, items + 2, l2=0.1)
    if hasattr(model, "pair_losses"):
        total = total + model.pair_losses(encoded, users, items, torch.ones(NUM_USERS)).sum()
    total.backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not bool((p.grad != 0).any())]
    assert not silent


@pytest.mark.parametrize("name", TRAINED)
def test_entity_rows_name_one_row_per_user_and_item(name):
    model = make(name)
    parameters = dict(model.named_parameters())
    for kind, count in (("user", NUM_USERS), ("item", NUM_ITEMS)):
        for block in model.entity_rows()[kind]:
            assert (block.offset, block.stride, len(parameters[block.parameter])) == (0, 1, count)
    named = {block.parameter for blocks in model.entity_rows().values() for block in blocks}
    sized = {n for n, p in parameters.items() if len(p) in (NUM_USERS, NUM_ITEMS)}
    assert named == sized  # no table of users or items is forgotten


@pytest.mark.parametrize("name", TRAINED)
def test_rows_of_an_offset_name_their_modality(name):
    model = make(name)
    named = {block.parameter: block.modality for block in model.entity_rows()["item"]}
    assert {n: m for n, m in named.items() if m is not None} == {f"offsets.{m}.weight": m for m in model.offsets}
    assert all(block.modality is None for block in model.entity_rows()["user"])


def test_offsets_start_at_the_raw_features(graph):
    model = make("MGCN")
    assert torch.equal(model.content(graph, "image"), graph.features["image"])
    with torch.no_grad():
        model.offsets["image"].weight[3] = 1.0
    assert torch.equal(model.content(graph, "image")[3], graph.features["image"][3] + 1)


def test_mean_of_layers_against_dense_powers(data, graph):
    x = torch.randn(NUM_USERS + NUM_ITEMS, 3)
    a = dense_adjacency(data)
    assert torch.allclose(mean_of_layers(graph.adjacency, x, 2), (x + a @ x + a @ a @ x) / 3, atol=1e-6)


def test_what_does_not_fit_is_refused(graph):
    with pytest.raises(InputError, match="made for 3 users and 9 items, but the data has 7 and 9"):
        models.LightGCN(3, 9)(graph)
    with pytest.raises(InputError, match="reads the item features .text., but the data has audio, image"):
        models.VBPR(NUM_USERS, NUM_ITEMS, {"text": 4})(graph)
    with pytest.raises(InputError, match="made for 6 features 'image', but the data has 5"):
        models.VBPR(NUM_USERS, NUM_ITEMS, {"image": 6})(graph)
    bare = InteractionGraph(Interactions.create({"train": make_data().splits["train"]}, num_users=NUM_USERS, num_items=NUM_ITEMS))
    with pytest.raises(InputError, match="'image', but the data has none"):
        models.VBPR(NUM_USERS, NUM_ITEMS, {"image": 5})(bare)
    for cls in (models.VBPR, models.MGCN, models.BM3, models.FREEDOM, models.LATTICE, models.MMGCN):
        with pytest.raises(InputError, match=f"{cls.__name__} reads item features: name them"):
            cls(3, 4, {})
    with pytest.raises(InputError, match="num_layers must be a whole number"):
        models.LightGCN(3, 4, num_layers=-1)
    with pytest.raises(InputError, match="at least 1, got 0, 4 and 64"):
        models.LightGCN(0, 4)
    with pytest.raises(InputError, match="modality 'image' must have at least one feature"):
        models.VBPR(3, 4, {"image": 0})
