"""Models: scoring, training state, lifecycle."""
