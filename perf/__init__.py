"""Measurements of a running stack, as ratios within one run; see README.md."""
