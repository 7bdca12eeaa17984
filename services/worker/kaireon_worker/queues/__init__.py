"""One file per queue: the types of its jobs, each with its handler."""
