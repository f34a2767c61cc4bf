"""``import graphforget`` stays light, and everything in the registries can be imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import graphforget

HEAVY = ("torch_geometric", "pandas", "dgl", "matplotlib", "transformers", "triton", "networkx", "scipy", "sklearn", "numba")
ROOT = Path(graphforget.__file__).parent


def imported(statement: str) -> set[str]:
    """Which heavy packages (and torch) a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport sys\nprint(*[m for m in {(*HEAVY, 'torch')!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_import_graphforget_loads_nothing_heavy():
    assert imported("import graphforget") == set()  # not even torch


def test_requests_methods_and_tasks_load_torch_and_nothing_heavier():
    # torch itself may bring networkx, triton or scipy along with some releases; what counts is what we add.
    base = imported("import torch")
    statement = (
        "import graphforget; graphforget.DeletionRequest.nodes([1]); "
        "from graphforget.unlearners import METHODS; from graphforget.tasks import TASKS; "
        "list(METHODS), list(TASKS); import graphforget.base"
    )
    assert imported(statement) == base | {"torch"}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_optional_packages_are_imported_only_inside_functions(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    allowed = {"triton", "numba"} if "backends" in path.parts or path.stem.startswith("triton") else set()
    if "accelerate" in path.parts and path.name != "__init__.py":  # subclasses of PyG's layers, imported when asked for
        allowed = {"torch_geometric"}
    assert not (names & set(HEAVY)) - allowed


@pytest.mark.parametrize(
    ("where", "name"), [("unlearners", "METHODS"), ("tasks", "TASKS"), ("datasets", "DATASETS"), ("models", "MODELS")]
)
def test_every_registered_component_can_be_imported(where, name):
    registry = getattr(__import__(f"graphforget.{where}", fromlist=[name]), name)
    assert len(registry.shipped) > 0
    for key in registry.shipped:
        assert registry[key] is not None


def test_public_names_resolve():
    for name in graphforget.__all__:
        assert getattr(graphforget, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'unlern'"):
        graphforget.unlern


def test_no_module_reaches_itself_through_others():
    """Every import counts, wherever it stands: at the top, for type checking only, inside a function."""
    import networkx

    modules = {
        ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in ROOT.rglob("*.py")
    }
    graph = networkx.DiGraph()
    for name, path in modules.items():
        if name == "graphforget.base.capabilities":  # protocols of what lower rows hand to models; it runs nothing of theirs
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                whole = ((f"{node.module}.{alias.name}", node.module) for alias in node.names)
                found = [module if module in modules else package for module, package in whole]
            graph.add_edges_from((name, one) for one in found if one in modules)
    circles = [sorted(circle) for circle in networkx.strongly_connected_components(graph) if len(circle) > 1]
    # A result can be continued by the method that made it: these two are one idea in two files.
    assert [circle for circle in circles if circle != ["graphforget.base.result", "graphforget.base.unlearner"]] == []
