"""Simulated data sets with LLP's labels, label noise and difficulty.

``statistics`` holds what is known about LLP in aggregate, ``masks`` and ``drawn`` draw labels and
events from it, ``copied`` takes them from real annotation files instead, ``features`` draws the
feature vectors, ``presets`` names the two sizes on offer and ``writing`` makes the data-set folder.
"""
