"""Tenants, keys, settings, jobs."""
