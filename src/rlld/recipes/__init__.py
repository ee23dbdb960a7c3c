"""Recipes: one YAML file per method."""
