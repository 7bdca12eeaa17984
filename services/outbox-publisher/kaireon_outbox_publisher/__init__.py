"""Relays outbox events to the event bus."""
