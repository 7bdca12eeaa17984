"""Process concerns shared by every tier: settings, logs, metrics, lifecycle."""
