"""Customers and their data over HTTP."""
