"""Adapters: Postgres, Redis."""
