"""Recipes: one YAML file per method."""

RECOMMENDED = "rlld-best"
"""The recipe for whoever has no reason to take another."""
