"""Command line of the origin: `python -m origin proxy`. Settings come from the environment."""

import argparse

from common.running.web_process import run

from origin.application import Origin
from origin.settings import OriginSettings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m origin", description=__doc__)
    parser.add_subparsers(dest="command", required=True).add_parser("proxy", help="run until SIGTERM")
    parser.parse_args()
    run("origin", "proxy", OriginSettings, Origin)


if __name__ == "__main__":
    main()
