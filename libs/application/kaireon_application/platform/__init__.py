"""Tenants, keys, settings, jobs, outbox."""
