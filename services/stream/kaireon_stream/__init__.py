"""The stream tier: takes inbound behavioural events from a broker."""
