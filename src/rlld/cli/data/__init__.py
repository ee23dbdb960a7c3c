"""The verbs of data sets, ``rlld data ...``."""
