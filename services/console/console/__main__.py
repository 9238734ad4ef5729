"""Command line of the console: `python -m console`. Settings come from the environment."""

import argparse

from common.running.web_process import run

from console.app import Console
from console.settings import ConsoleSettings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m console", description=__doc__)
    parser.add_argument("role", nargs="?", choices=["web"], default="web", help="run until SIGTERM")
    parser.parse_args()
    run("console", "web", ConsoleSettings, Console)


if __name__ == "__main__":
    main()
