"""Evidence on recommenders."""
