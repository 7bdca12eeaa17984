"""One-shot entry points of the scheduled jobs."""
