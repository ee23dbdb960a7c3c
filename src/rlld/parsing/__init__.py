"""From a video file or its features to events."""
