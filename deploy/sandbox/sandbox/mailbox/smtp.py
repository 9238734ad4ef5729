"""Receiving messages over SMTP (RFC 5321). A message is on disk before it is acknowledged."""

import asyncio

from aiosmtpd.smtp import SMTP, Envelope, Session

from sandbox.faults import FaultPlan, Mode
from sandbox.mailbox.store import MailStore

FAULT_MODES = {"refuse": Mode(), "reject": Mode(), "drop_after_data": Mode()}
RECIPIENT_FAULTS = {
    "refuse": "451 4.3.0 Requested action aborted: try again later",
    "reject": "550 5.1.1 Requested action not taken: mailbox unavailable",
}


class MessageReceiver:
    """A handler of aiosmtpd, which prescribes the names of the methods."""

    def __init__(self, store: MailStore, faults: FaultPlan) -> None:
        self._store = store
        self._faults = faults

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        if fault := self._faults.trigger(address, modes=RECIPIENT_FAULTS.keys()):
            return RECIPIENT_FAULTS[fault.mode]
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        fault = self._faults.trigger(*envelope.rcpt_tos, modes={"drop_after_data"})
        message_id = await asyncio.to_thread(self._store.add, _with_envelope(envelope))
        if fault and isinstance(server.transport, asyncio.Transport):
            server.transport.abort()
        return f"250 OK: queued as {message_id}"


def _with_envelope(envelope: Envelope) -> bytes:
    """The message with headers for its envelope, as at final delivery (RFC 5321 section 4.4, RFC 9228)."""
    recipients = [f"Delivered-To: {recipient}" for recipient in envelope.rcpt_tos]
    trace = "\r\n".join([f"Return-Path: <{envelope.mail_from}>", *recipients, ""])
    return trace.encode("utf-8", "surrogateescape") + (envelope.original_content or b"")
