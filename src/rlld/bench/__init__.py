"""Recipes side by side: cached runs on equal terms, tables and learning curves."""
