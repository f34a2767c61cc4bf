"""Graph neural networks on our kernels, with the parameter names of PyG's models."""

from __future__ import annotations

from graphforget.models.gnn.accelerate import Acceleration, accelerate, undo
from graphforget.models.gnn.gat import GAT
from graphforget.models.gnn.gcn import GCN
from graphforget.models.gnn.gin import GIN
from graphforget.models.gnn.rgcn import RGCN, RGCNConv
from graphforget.models.gnn.sage import GraphSAGE

__all__ = ["GAT", "GCN", "GIN", "RGCN", "Acceleration", "GraphSAGE", "RGCNConv", "accelerate", "undo"]
