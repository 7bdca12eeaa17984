"""Training tier: never on the decision path."""
