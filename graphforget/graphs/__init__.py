"""Graphs: data, deletions, regions, conversion, sampled requests."""

from graphforget.graphs.convert import as_graph, to_networkx, to_pyg, to_scipy
from graphforget.graphs.convert_sparse import as_sparse, sparse_to_dgl, sparse_to_pyg, sparse_to_scipy, sparse_to_torch
from graphforget.graphs.data import GraphData
from graphforget.graphs.edge_index import both_directions
from graphforget.graphs.edge_rules import EdgeRule, KNNRule
from graphforget.graphs.edit import compact, remove_edges, remove_features, remove_nodes
from graphforget.graphs.features import take_rows
from graphforget.graphs.hops import hop_distance, k_hop
from graphforget.graphs.part import Part
from graphforget.graphs.subgraph import InducedSubgraph, induced_subgraph, take_part

__all__ = [
    "EdgeRule",
    "GraphData",
    "InducedSubgraph",
    "KNNRule",
    "Part",
    "as_graph",
    "as_sparse",
    "both_directions",
    "compact",
    "hop_distance",
    "induced_subgraph",
    "k_hop",
    "remove_edges",
    "remove_features",
    "remove_nodes",
    "sparse_to_dgl",
    "sparse_to_pyg",
    "sparse_to_scipy",
    "sparse_to_torch",
    "take_part",
    "take_rows",
    "to_networkx",
    "to_pyg",
    "to_scipy",
]
