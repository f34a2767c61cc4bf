"""The registry of datasets."""

from __future__ import annotations

import subprocess
import sys

import pytest

from graphforget.datasets import DATASETS, DESCRIPTIONS, load
from graphforget.exceptions import InputError


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_dataset_has_a_loader_and_a_line(name):
    assert callable(DATASETS[name])
    assert DESCRIPTIONS[name] and "\n" not in DESCRIPTIONS[name]


def test_unknown_names_and_parameters_list_the_nearest():
    with pytest.raises(InputError, match="unknown dataset 'digit': did you mean 'digits'"):
        load("digit")
    with pytest.raises(InputError, match="dataset 'digits' has no parameter 'num_neighbours': did you mean 'num_neighbors'"):
        load("digits", num_neighbours=3)
    with pytest.raises(InputError, match="dataset 'cora' has no parameter 'split'"):
        load("cora", split=1)


def test_importing_the_registry_is_light():
    code = (
        "import sys, graphforget.datasets, graphforget.graphs; "
        "print([m for m in ('torch_geometric', 'networkx', 'sklearn', 'scipy', 'pandas') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
