"""The Triton backend, in the interpreter or on a GPU (``triton_parity.py`` holds the cases), and where it must refuse."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from graphforget.exceptions import InputError
from graphforget.kernels import SparseGraph, gat_aggregate, spmm
from graphforget.kernels.backends import VARIABLE, choose

pytest.importorskip("triton")

PARITY = Path(__file__).with_name("triton_parity.py")
FIGURES = Path(__file__).parents[4] / "benchmarks" / "gpu.py"
CASES = 205  # at least: a case that is not collected cannot hide


def run_alone(*arguments, **variables):
    """Triton decides when it is imported whether it interprets: each way needs a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in ("TRITON_INTERPRET", VARIABLE)} | variables
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


def run_parity(**variables):
    options = ["-o", "addopts=--import-mode=importlib", "-q", "-p", "no:cacheprovider", "-W", "ignore::RuntimeWarning"]
    output = run_alone("-m", "pytest", *options, str(PARITY), **variables)
    passed = re.search(r"^(\d+) passed in", output, re.MULTILINE)
    assert passed and int(passed[1]) >= CASES, f"skipped or missing cases: {output[-500:]}"


def test_parity_in_the_interpreter():
    run_parity(TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES="")


@pytest.mark.gpu
def test_parity_on_the_device():
    run_parity()


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter runs on the CPU")
def test_forced_on_the_cpu_it_refuses_in_one_sentence():
    graph = SparseGraph(torch.tensor([0, 1]), torch.tensor([0]))
    words = r"^the 'triton' kernel backend runs on cuda, and these tensors are on cpu: move them, or choose 'auto'\.$"
    with pytest.raises(InputError, match=words):
        spmm(graph, torch.ones(1, 1), backend="triton")
    with pytest.raises(InputError, match=words):
        gat_aggregate(graph, torch.ones(1, 1, 1), torch.ones(1, 1), torch.ones(1, 1), backend="triton")


def test_it_is_the_choice_on_cuda_where_fusion_pays(monkeypatch):
    from graphforget.kernels.backends.triton import operations as backend

    monkeypatch.delenv(VARIABLE, raising=False)
    cuda = torch.device("cuda")
    for op in (
        "spmm_rows",
        "masked_spmm",
        "extreme_entry",
        "gat_forward",
        "gat_backward",
        "bpr_forward",
        "bpr_backward",
        "pair_dots",
    ):
        assert choose(op, cuda) is getattr(backend, op)
    # The plain product stays with cuSPARSE.
    assert choose("spmm", cuda) is not backend.spmm and choose("spmm", cuda, "triton") is backend.spmm


def test_without_a_device_the_figures_are_honestly_missing():
    (record,) = json.loads(run_alone(str(FIGURES), "--json", CUDA_VISIBLE_DEVICES=""))
    assert record["measured"] is False and record["reason"] == "not measured on a GPU: no CUDA device"


@pytest.mark.slow
def test_the_script_of_the_figures_runs_every_case():
    records = json.loads(run_alone(str(FIGURES), "--json", "--smoke", TRITON_INTERPRET="1", CUDA_VISIBLE_DEVICES=""))
    assert len(records) == 12 and not any(record["measured"] for record in records)
    assert all(record["difference"] and not record["not_run"] for record in records if record["dtype"] == "float32")
