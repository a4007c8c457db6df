"""Run the command line: ``serein``, or ``python -m serein``."""

import signal


def main() -> None:
    """Run the command line. Ctrl-C during the imports ends it without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from serein.cli import main as run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
