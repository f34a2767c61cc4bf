"""Graphs: data, deletions, regions, conversion, sampled requests."""

from graphforget.graphs.convert import as_graph, to_networkx, to_pyg, to_scipy
from graphforget.graphs.data import GraphData
from graphforget.graphs.edit import compact, remove_edges, remove_features, remove_nodes
from graphforget.graphs.features import take_rows
from graphforget.graphs.pairs import both_directions, canonical_pairs, pair_keys
from graphforget.graphs.region import Subgraph, hop_distance, induced_subgraph, k_hop
from graphforget.graphs.rules import EdgeRule, KNNRule

__all__ = [
    "EdgeRule",
    "GraphData",
    "KNNRule",
    "Subgraph",
    "as_graph",
    "both_directions",
    "canonical_pairs",
    "compact",
    "hop_distance",
    "induced_subgraph",
    "k_hop",
    "pair_keys",
    "remove_edges",
    "remove_features",
    "remove_nodes",
    "take_rows",
    "to_networkx",
    "to_pyg",
    "to_scipy",
]
