"""What may be proposed: offers, creatives, channels, placements as columns."""
