"""Models that are services of somebody else's."""
