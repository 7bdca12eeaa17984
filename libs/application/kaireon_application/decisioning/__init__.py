"""Deciding for a customer: plan, load, decide, commit; and explaining afterwards."""
