"""Sources of training labels, one file each."""
