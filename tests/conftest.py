"""One thread per test process: tiny tensors gain nothing from more, and several test processes share the cores.

Hypothesis draws the same examples in every run, so that what passes once passes again.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("fixed", derandomize=True)
settings.load_profile("fixed")
