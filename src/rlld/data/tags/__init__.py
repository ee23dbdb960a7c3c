"""Tags as people have them: files of every kind, folder names, keywords; one small file per kind.

Public face: ``rlld.data.tags.read.read_tags`` and ``rlld.data.tags.classes.settled``.
"""
