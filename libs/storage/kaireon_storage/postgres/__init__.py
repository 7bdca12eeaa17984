"""Postgres: the system of record."""
