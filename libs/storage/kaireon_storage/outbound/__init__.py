"""Connections to addresses that somebody else has named."""
