"""Data sets that rlld invents."""
