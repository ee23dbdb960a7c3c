"""What the studio answers over HTTP, by what it is about."""
