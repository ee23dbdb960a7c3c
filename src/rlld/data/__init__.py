"""Data sets: annotations, packed features, simulation, rendered clips."""
