"""Runs and predictions of others side by side, on the same videos."""
