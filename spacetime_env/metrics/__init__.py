"""Figures of how good a model is, as pure functions of what it found and what is there. Numpy; no torch, no files.

:mod:`~spacetime_env.metrics.boxes` compares boxes, :mod:`~spacetime_env.metrics.latents` judges z_what, and
:mod:`~spacetime_env.metrics.tracks` what happens from frame to frame. :mod:`spacetime_env.evaluate` calls them all.
"""
