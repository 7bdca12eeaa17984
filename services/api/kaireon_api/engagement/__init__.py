"""Behavioural events, journeys and triggers over HTTP."""
