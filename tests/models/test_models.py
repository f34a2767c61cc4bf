from __future__ import annotations

import subprocess
import sys

import pytest

import graphforget.models as models


@pytest.mark.parametrize("key", sorted(models.MODELS))
def test_every_registered_model_can_be_imported(key):
    cls = models.MODELS[key]
    assert getattr(models, cls.__name__) is cls and cls.__name__ in dir(models)


def test_a_model_that_no_task_can_feed_is_imported_but_has_no_name():
    from graphforget.models.gnn import RGCN

    assert models.RGCN is RGCN and "RGCN" in dir(models) and "rgcn" not in models.MODELS
    with pytest.raises(TypeError, match="num_relations"):  # which no data container says
        models.RGCN(4, 8, 3)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="BPRMF"):
        _ = models.Resnet


def test_importing_every_model_leaves_torch_geometric_alone():
    code = (
        "import sys, graphforget.models as m; assert 'graphforget.kernels' not in sys.modules; "
        "[getattr(m, n) for n in m.__all__]; "
        "sys.exit(int(any(x in sys.modules for x in ('torch_geometric', 'scipy', 'pandas', 'sklearn'))))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
