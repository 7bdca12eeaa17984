"""HTTP tier: produces decisions, jobs and events."""
