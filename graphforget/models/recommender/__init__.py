"""Recommender models: matrix factorisation, graph recommenders with and without item content, and a linear closed form."""

from __future__ import annotations

from graphforget.models.recommender.base import Encoded, GraphRecommender
from graphforget.models.recommender.bm3 import BM3
from graphforget.models.recommender.bprmf import BPRMF
from graphforget.models.recommender.ease import EASE
from graphforget.models.recommender.freedom import FREEDOM
from graphforget.models.recommender.lattice import LATTICE
from graphforget.models.recommender.lightgcn import LightGCN
from graphforget.models.recommender.mgcn import MGCN
from graphforget.models.recommender.mmgcn import MMGCN
from graphforget.models.recommender.vbpr import VBPR

__all__ = ["BM3", "BPRMF", "EASE", "FREEDOM", "LATTICE", "MGCN", "MMGCN", "VBPR", "Encoded", "GraphRecommender", "LightGCN"]
