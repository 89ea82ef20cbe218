"""Recorded frames, and what moves in them."""
