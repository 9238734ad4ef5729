"""Command line: `python -m sandbox payments …` or `python -m sandbox mailbox …`."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from sandbox.mailbox.server import serve_mailbox
from sandbox.payments.server import serve_payments


def main() -> None:
    arguments = _parse_arguments()
    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    for chatty in ("uvicorn", "mail.log"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    arguments.data.mkdir(parents=True, exist_ok=True)
    if arguments.program == "payments":
        asyncio.run(serve_payments(arguments.host, arguments.port, arguments.data))
    else:
        asyncio.run(serve_mailbox(arguments.host, arguments.smtp_port, arguments.http_port, arguments.data))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Stand-ins for the outside world.")
    programs = parser.add_subparsers(dest="program", required=True)
    payments = programs.add_parser("payments", help="a payment gateway that speaks the refund part of Stripe's API")
    mailbox = programs.add_parser("mailbox", help="a mail server that keeps and shows what it is sent")
    for program in (payments, mailbox):
        program.add_argument("--host", default="127.0.0.1")
        program.add_argument("--data", type=Path, required=True, help="directory in which everything is kept")
    payments.add_argument("--port", type=int, required=True, help="0 takes a free one and logs it")
    mailbox.add_argument("--smtp-port", type=int, required=True)
    mailbox.add_argument("--http-port", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
