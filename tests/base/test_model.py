from __future__ import annotations

import pytest
import torch
from torch import nn

from graphforget.base import Ensemble, captured, device_of, evaluating, fresh_like, frozen_copy, restored_like, weights_digest
from graphforget.base.model import default_layer_names
from graphforget.exceptions import InputError
from graphforget.models import MLP


class Bare(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(2, 2)
        self.scale = nn.Parameter(torch.ones(2))


def test_fresh_like_uses_the_configuration_where_there_is_one():
    model = MLP(4, 3, 2, dropout=0.25)
    fresh = fresh_like(model)
    assert fresh.config == model.config and weights_digest(fresh) != weights_digest(model)


def test_fresh_like_resets_users_modules():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    before = weights_digest(model)
    fresh = fresh_like(model)
    assert not torch.equal(fresh[0].weight, model[0].weight) and weights_digest(model) == before
    assert all(bool(torch.isfinite(p).all()) for p in fresh.parameters())


def test_fresh_like_refuses_parameters_that_no_reset_reaches():
    with pytest.raises(InputError, match="cannot make a fresh Bare: reset_parameters leaves scale unset; pass build="):
        fresh_like(Bare())


def test_digest_sees_weights_buffers_and_nothing_else():
    model = nn.BatchNorm1d(2)
    before = weights_digest(model)
    model.eval()
    assert weights_digest(model) == before
    model.running_mean += 1
    assert weights_digest(model) != before


def test_capture_collects_named_outputs_and_removes_its_hooks():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    with captured(model, ["0", "1"]) as store:
        model(torch.randn(4, 2))
    assert store["0"].shape == (4, 3) and torch.equal(store["1"], store["0"].relu())
    assert not any(m._forward_hooks for m in model.modules())
    with pytest.raises(InputError, match="no layer '9'"):
        with captured(model, ["0", "9"]):
            pass
    assert not any(m._forward_hooks for m in model.modules())


def test_layer_names_prefer_the_models_own_word():
    assert default_layer_names(MLP(4, [3, 3], 2)) == ["lins.0", "lins.1", "lins.2"]
    assert default_layer_names(nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Conv2d(1, 1, 1))) == ["0", "2"]
    assert default_layer_names(nn.ReLU()) == []


def test_evaluating_restores_every_submodules_mode():
    model = nn.Sequential(nn.Dropout(), nn.Dropout())
    model[1].eval()
    with pytest.raises(RuntimeError):
        with evaluating(model):
            assert not model[0].training and not torch.is_grad_enabled()
            raise RuntimeError
    assert model.training and model[0].training and not model[1].training and torch.is_grad_enabled()


def test_a_frozen_copy_is_a_teacher():
    model = nn.Linear(2, 2)
    teacher = frozen_copy(model)
    assert not teacher.training and not any(p.requires_grad for p in teacher.parameters())
    assert model.training and all(p.requires_grad for p in model.parameters())


def test_modes_and_flags_are_restored_by_name():
    source = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Linear(2, 2)).train()
    source[1].eval()
    source[0].weight.requires_grad_(False)
    made = nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Linear(2, 2), nn.Linear(2, 2)).eval()
    made(torch.ones(1, 2)).sum().backward()
    made[2].bias.requires_grad_(False)
    assert restored_like(source, made) is made
    assert [module.training for module in made] == [True, False, True, True]  # the last is new: as the source itself
    assert [name for name, p in made.named_parameters() if not p.requires_grad] == ["0.weight"]
    assert all(p.grad is None for p in made.parameters())


def test_device_of_a_module_without_parameters():
    assert device_of(nn.ReLU()) == torch.device("cpu") == device_of(nn.Linear(1, 1))


def test_an_ensemble_is_never_called_directly():
    ensemble = Ensemble([nn.Linear(1, 1)])
    with pytest.raises(TypeError, match="combined by Task.forward, in probability space"):
        ensemble(torch.zeros(1, 1))
    with pytest.raises(InputError, match="at least one member"):
        Ensemble([])


def test_reach_counts_the_steps_of_layers_that_take_several():
    from torch_geometric.nn import GCNConv, SGConv

    from graphforget.base.model import num_hops_of
    from graphforget.models import GCN

    assert num_hops_of(GCN(4, 8, 2, num_layers=3)) == 3
    assert num_hops_of(nn.Sequential(SGConv(4, 8, K=3), GCNConv(8, 2))) == 4
    assert num_hops_of(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))) == 2
