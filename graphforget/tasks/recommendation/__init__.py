"""Recommendation: users, items, interactions, ranked lists."""
