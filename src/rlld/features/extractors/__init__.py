"""Feature extractors, one file each."""
