"""Tools that know nothing of video parsing."""
