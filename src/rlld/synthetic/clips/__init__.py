"""Rendered data sets: real clips of drawn scenes and synthesised sounds with known events.

``labels`` draws which class is audible and visible when, ``sounds`` and ``pictures`` hold one
synthesiser and one drawing per class, ``scene`` puts a clip together, ``encode`` makes the mp4 and
``dataset`` the folder.
"""
