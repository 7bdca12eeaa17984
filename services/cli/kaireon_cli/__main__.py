"""`python -m kaireon_cli`: the `kaireon` command."""

from __future__ import annotations

from kaireon_cli.main import main

if __name__ == "__main__":
    main()
