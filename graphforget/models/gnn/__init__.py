"""Graph neural networks on our kernels, with the parameter names of PyG's models."""

from __future__ import annotations

from graphforget.models.gnn.gat import GAT
from graphforget.models.gnn.gcn import GCN
from graphforget.models.gnn.gin import GIN
from graphforget.models.gnn.sage import GraphSAGE

__all__ = ["GAT", "GCN", "GIN", "GraphSAGE"]
