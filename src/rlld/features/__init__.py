"""Feature extractors, one file each, and decoding."""
