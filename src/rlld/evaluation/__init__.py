"""Judging runs: their scores, their labels, and which videos to annotate next."""
