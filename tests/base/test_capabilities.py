from __future__ import annotations

import ast
import doctest
import inspect
from pathlib import Path

import pytest
import torch
from torch import nn

import graphforget
from graphforget.base import Ensemble, capabilities
from graphforget.base.capabilities import (
    ClosedForm,
    Decode,
    EntityRows,
    LayerNames,
    PairEncoding,
    PairLosses,
    ReadsGraph,
    ResetParameters,
    RowBlock,
    ScoreAll,
    acceleration_of,
    accepts_sparse,
    config_of,
    encoded_table,
    entity_rows,
    has_closed_form,
    has_decode,
    has_encode,
    has_entity_rows,
    has_layer_names,
    has_pair_losses,
    has_reset,
    has_score_all,
    reads_graph,
)
from graphforget.exceptions import InputError
from graphforget.models import MODELS
from graphforget.models.gnn import RGCN
from graphforget.models.recommender.base import Encoded
from graphforget.models.recommender.ease import ItemScores
from graphforget.testing import tiny_case

ROOT = Path(graphforget.__file__).parent
METHODS = {
    "decode": (has_decode, Decode),
    "score_all": (has_score_all, ScoreAll),
    "pair_losses": (has_pair_losses, PairLosses),
    "fit_closed_form": (has_closed_form, ClosedForm),
    "entity_rows": (has_entity_rows, EntityRows),
    "layer_names": (has_layer_names, LayerNames),
    "reset_parameters": (has_reset, ResetParameters),
}


class Offers(nn.Module):
    """A module with some attributes."""

    def __init__(self, **attributes):
        super().__init__()
        for name, value in attributes.items():
            setattr(self, name, value)


class Forwards(nn.Module):
    """A wrapper that answers for the module inside, as that of ``torch.compile`` does."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)


def test_examples_of_the_page_run():
    report = doctest.testmod(capabilities)
    assert report.failed == 0 and report.attempted > 30
    documented = [
        p for p in vars(capabilities).values() if getattr(p, "_is_protocol", False) and p.__module__ == capabilities.__name__
    ]
    without = [p.__name__ for p in documented if ">>>" not in (p.__doc__ or "")]
    assert len(documented) == 13 and without == ["PairEncoding"]  # what a model returns; the example is that of ReadsGraph


# What PyG and torch put on their own modules, which is no offer of a user: read where reach and direction of message passing are
# counted, and where the parameters of a `forward` are.
OF_LIBRARIES = {
    *("'num_layers'", "'convs'", "'K'", "'flow'", "'signature'", "f'supports_{p.name}'", "'encoder'", "'decoder'"),
    "'_orig_mod'",
}
HELD_IN = {"model", "module", "template", "inner", "original", "encoded", "teacher", "student", "final", "shadow"}


def test_nothing_else_looks_for_an_attribute_on_a_model():
    found = set()
    for path in sorted(ROOT.rglob("*.py")):
        if path == Path(capabilities.__file__) or "kernels" in path.parts:  # there a module is one of Python's
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr"):
                where, name = node.args[0], node.args[1]
                held = where.attr if isinstance(where, ast.Attribute) else getattr(where, "id", "")
                if held in HELD_IN and ast.unparse(name) not in OF_LIBRARIES:
                    found.add(f"{path.relative_to(ROOT)}: {ast.unparse(node)}")
    assert found == set()


@pytest.mark.parametrize("name", [*METHODS, "encode"])
def test_a_method_is_offered_where_it_can_be_called(name):
    asked = has_encode if name == "encode" else METHODS[name][0]
    assert not asked(Offers()) and not asked(Offers(**{name: 3})) and not asked(Offers(**{name: None}))
    assert asked(Offers(**{name: lambda *args: args})) and asked(Offers(**{name: nn.Linear(2, 2)}))  # a submodule is called too


def test_of_a_flag_the_value_counts():
    for asked, name in ((reads_graph, "reads_graph"), (accepts_sparse, "accepts_sparse")):
        assert asked(Offers(**{name: True})) and not asked(Offers(**{name: False})) and not asked(Offers()) and not asked(None)
    assert not accepts_sparse(RGCN(4, 8, 3, num_relations=2)) and accepts_sparse(MODELS["gcn"](4, 8, 3))


def test_wrappers_are_seen_through_as_far_as_they_answer():
    inner = MODELS["bprmf"](3, 4, 2)
    for wrapper, answers in ((Forwards(inner), True), (nn.DataParallel(inner), False), (Ensemble([inner]), False)):
        assert has_entity_rows(wrapper) == has_layer_names(wrapper) == (config_of(wrapper) is not None) == answers


def test_only_a_dictionary_is_a_configuration_and_only_what_can_be_applied_an_acceleration():
    assert config_of(Offers(config={"a": 1})) == {"a": 1} and config_of(Offers(config="a.yaml")) is None
    assert acceleration_of(Offers(acceleration=torch.ones(3))) is None and acceleration_of(Offers()) is None


def test_a_model_that_must_have_rows_is_told_what_it_lacks():
    assert entity_rows(MODELS["bprmf"](3, 4, 2))["item"] == [RowBlock("item_embedding.weight")]
    with pytest.raises(InputError, match=r"Linear does not say which rows belong to an entity \(entity_rows\(\)\)"):
        entity_rows(nn.Linear(2, 2))


def test_tables_of_an_encoding_are_tensors():
    encoded = Encoded(torch.arange(6.0).view(3, 2), 1)
    assert torch.equal(encoded_table(encoded, "items"), encoded.table[1:]) and len(encoded_table(encoded, "users")) == 1
    assert encoded_table(Offers(table=3), "table") is None
    assert not any(hasattr(ItemScores, name) for name in ("table", "users", "items"))


@pytest.mark.parametrize("name", MODELS)
def test_what_shipped_models_offer_has_the_signatures_of_the_page(name):
    cls = MODELS[name]
    offers = [protocol for method, (_, protocol) in METHODS.items() if callable(getattr(cls, method, None))]
    assert {LayerNames, ResetParameters} <= set(offers)
    methods = [(protocol, method) for method, (_, protocol) in METHODS.items() if protocol in offers]
    if getattr(cls, "reads_graph", False):
        methods += [(ReadsGraph, "forward"), (ReadsGraph, "penalty")]
    for protocol, method in methods:
        wanted, own = (inspect.signature(getattr(one, method)).parameters for one in (protocol, cls))
        assert list(own) == list(wanted) and [p.kind for p in own.values()] == [p.kind for p in wanted.values()], (name, method)


def test_encodings_have_the_signatures_of_the_page():
    for cls in (Encoded, ItemScores):
        for method in ("pair_scores", "scores"):
            wanted, own = (list(inspect.signature(getattr(one, method)).parameters) for one in (PairEncoding, cls))
            assert own == wanted


def test_a_decoder_that_is_a_submodule_is_used():
    class Score(nn.Module):
        def forward(self, z, edge_label_index):
            u, v = edge_label_index
            return (z[u] * z[v]).sum(1) + 10

    case = tiny_case("link_prediction")
    model = case.model()
    view = case.task.view(case.data, "test")
    before = case.task.predict(model, view)
    model.decode = Score()
    assert torch.allclose(case.task.predict(model, view), before + 10, atol=1e-4)
