"""Use cases, their ports, and the wire types."""
