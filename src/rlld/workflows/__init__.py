"""Chains of rooms that one verb runs."""
