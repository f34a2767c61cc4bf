"""Recommender models."""

from __future__ import annotations

from graphforget.models.recommender.bprmf import BPRMF

__all__ = ["BPRMF"]
