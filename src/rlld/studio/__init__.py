"""The studio: one local web page to look, answer, correct, retrain and export."""
