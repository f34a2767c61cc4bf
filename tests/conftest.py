"""What holds for every test.

One thread per test process: tiny tensors gain nothing from more, and several test processes share the cores. Hypothesis draws the
same examples in every run, so that what passes once passes again. Nothing is downloaded. A test that needs what is not there,
marked ``data`` or ``gpu``, is skipped with a reason, and the reasons are printed at the end of a run.
"""

from __future__ import annotations

import os
import socket

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")


def pytest_collection_modifyitems(items):
    missing = {}
    if not os.environ.get("GRAPHFORGET_DATA"):
        missing["data"] = "GRAPHFORGET_DATA is not set: it names the folder with the real datasets"
    if not torch.cuda.is_available():
        missing["gpu"] = "there is no CUDA device"
    for item in items:
        for mark, reason in missing.items():
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True, scope="session")
def _no_download():
    """Resolving a host other than this one is an error, so that a test that would download is seen where there is a network too."""
    resolve = socket.getaddrinfo

    def local(host, *args, **kwargs):
        if host not in (None, "localhost", "127.0.0.1", "::1"):
            raise OSError(f"a test asked for the host '{host}': tests download nothing, mark it 'data' if it needs real datasets")
        return resolve(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", local)
        yield


@pytest.fixture
def no_figures(request, monkeypatch):
    """Reports are written without figures, which take most of the time of a small run; a test marked ``figures`` has them drawn."""
    if request.node.get_closest_marker("figures") is None:
        for module in ("html", "report"):
            monkeypatch.setattr(f"graphforget.reporting.{module}.draw_figures", lambda *_, **__: {})
