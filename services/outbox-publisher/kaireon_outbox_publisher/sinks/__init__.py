"""Event buses, one file for each; only the chosen one is imported."""
