"""What customers do outside decisions, and what follows from it: behavioural events, journeys, triggers."""
