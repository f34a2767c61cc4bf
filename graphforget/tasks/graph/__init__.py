"""Tasks on one graph of nodes and edges, and how they read a part of it."""
