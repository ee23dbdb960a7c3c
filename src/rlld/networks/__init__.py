"""Task networks, one file each."""
