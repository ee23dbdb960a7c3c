"""Judging runs: their scores, their labels, and which questions to ask next."""
