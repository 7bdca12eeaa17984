"""Real servers as plain processes, from package-index wheels: no container engine, no system packages."""
