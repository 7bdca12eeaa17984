"""Experiments: who is decided for in which way."""
