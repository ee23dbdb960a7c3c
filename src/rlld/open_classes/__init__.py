"""Classes that were never trained: from similarities with their names to events.

Two rules, one file each: ``published`` is AV2A's, ``calibrated`` is ours, which ``coming``
follows through a clip that goes on. Both read ``Similarities``, which ``named.Namer`` makes of
features.
"""
