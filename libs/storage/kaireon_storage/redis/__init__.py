"""Redis: caches, hints and streams; never the only place where a fact is."""
