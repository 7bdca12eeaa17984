"""Use cases of the governance area."""
