"""From a request's facts to a decision: flows, rules, policies, reasons."""
