"""Offers, creatives, categories, channels, placements, outcome types; and what every configured thing shares."""
