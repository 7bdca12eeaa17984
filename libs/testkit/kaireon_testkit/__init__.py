"""Real servers as processes, factories and contract suites."""
