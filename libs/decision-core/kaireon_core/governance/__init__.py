"""What proves afterwards who changed what."""
