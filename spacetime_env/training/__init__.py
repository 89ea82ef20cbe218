"""From recorded frames to a model folder."""
