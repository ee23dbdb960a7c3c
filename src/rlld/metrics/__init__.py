"""The ten F-scores of audio-visual video parsing."""
