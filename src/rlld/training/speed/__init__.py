"""What makes training fast on a GPU: recorded steps, stacked networks, several seeds at once."""
