"""Job tier: consumes the queues."""
