"""Models as their owner uses them: trained, scored, promoted."""
