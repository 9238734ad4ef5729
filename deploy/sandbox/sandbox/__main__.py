"""Command line of the sandbox: `python -m sandbox payments …` or `python -m sandbox mailbox …`."""

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from sandbox.mailbox.server import serve_mailbox
from sandbox.payments.server import WebhookOption, serve_payments


def main() -> None:
    arguments = _parse_arguments()
    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    for verbose in ("uvicorn", "mail.log"):
        logging.getLogger(verbose).setLevel(logging.WARNING)
    try:
        arguments.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"--data: {error.strerror}: {arguments.data}")
    if arguments.program == "payments":
        webhook = _webhook(arguments)
        asyncio.run(serve_payments(arguments.host, arguments.port, arguments.data, webhook))
    else:
        asyncio.run(serve_mailbox(arguments.host, arguments.smtp_port, arguments.http_port, arguments.data))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Stand-ins for external systems.")
    programs = parser.add_subparsers(dest="program", required=True)
    payments = programs.add_parser("payments", help="a payment gateway with the refunds of Stripe's API")
    mailbox = programs.add_parser("mailbox", help="a mail server that stores every message and shows it")
    for program in (payments, mailbox):
        program.add_argument("--host", default="127.0.0.1")
        program.add_argument("--data", type=Path, required=True, help="folder in which all data is stored")
    payments.add_argument("--port", type=_port, required=True, help="0 chooses a free port, which is logged")
    payments.add_argument("--webhook-url", help="where webhooks are sent; {provider} is stripe or adyen")
    payments.add_argument(
        "--webhook-secret-file", type=Path, help="the key of their signatures; without it, PAYMENT_WEBHOOK_SECRET"
    )
    mailbox.add_argument("--smtp-port", type=_port, required=True)
    mailbox.add_argument("--http-port", type=_port, required=True)
    return parser.parse_args()


def _webhook(arguments: argparse.Namespace) -> WebhookOption | None:
    if arguments.webhook_url is None:
        return None
    file: Path | None = arguments.webhook_secret_file
    secret = os.environ.get("PAYMENT_WEBHOOK_SECRET", "") if file is None else file.read_text().strip()
    if not secret:
        sys.exit("--webhook-url: PAYMENT_WEBHOOK_SECRET is needed")
    return WebhookOption(arguments.webhook_url, secret)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, which is a number from 0 to 65535")
    return int(text)


if __name__ == "__main__":
    main()
