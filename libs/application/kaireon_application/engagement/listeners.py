"""What a tenant's journeys and triggers wait for: compiled once, asked about every event."""

from __future__ import annotations

from kaireon_application.engagement.behavioral_event import BehavioralEvent
from kaireon_application.engagement.reactions import Reactions


class Listeners:
    """Answers what follows from an event."""

    def react(self, event: BehavioralEvent) -> Reactions:
        """Return what follows from an event, by the configuration alone."""
        return Reactions(event=event)
