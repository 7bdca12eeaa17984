"""Factories of the platform area."""
