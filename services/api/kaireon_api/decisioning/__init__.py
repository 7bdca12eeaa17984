"""Decisions over HTTP: recommend, explain, and the flows that decide."""
