"""Attributes, interactions, segments, suppressions."""
