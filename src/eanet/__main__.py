"""``eanet`` and ``python -m eanet``."""

import sys


def main() -> int:
    """Run a command as `eanet.cli.main` does, and load what it needs: Ctrl-C may come before."""
    try:
        from eanet.cli import main as run
    except KeyboardInterrupt:
        print("eanet: interrupted", file=sys.stderr)  # noqa: T201 (nothing else is loaded)
        return 130
    return run()


if __name__ == "__main__":
    sys.exit(main())
