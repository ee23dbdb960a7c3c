"""Clips: which files are some, their tracks, their pictures and sounds by one clock."""
