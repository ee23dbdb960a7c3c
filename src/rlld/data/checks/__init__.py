"""Whether a data set is what it says, and whether two sets of features are alike."""
