"""Attacks: they receive measurements, never make models. :data:`ATTACKS` says what each one needs."""

from __future__ import annotations

from graphforget.attacks import link_stealing, membership, recommendation
from graphforget.attacks.link_stealing import link_stealing_attack, matched_non_edges, pair_distances
from graphforget.attacks.membership import confidence_attack, lira, membership_figures, rmia
from graphforget.attacks.recommendation import matched_strangers, same_entity_attack, taker_probe
from graphforget.registry import Registry

ATTACKS = Registry(
    "attack",
    {record.name: record for record in membership.RECORDS + link_stealing.RECORDS + recommendation.RECORDS},
    group="graphforget.attacks",
    base="graphforget.base.attack:AttackRecord",
    of="instance",
    name="name",
)

__all__ = [
    "ATTACKS",
    "confidence_attack",
    "link_stealing_attack",
    "lira",
    "matched_non_edges",
    "matched_strangers",
    "membership_figures",
    "pair_distances",
    "rmia",
    "same_entity_attack",
    "taker_probe",
]
