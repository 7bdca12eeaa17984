"""Interaction stores beside Postgres: tables whose partition is a customer."""
