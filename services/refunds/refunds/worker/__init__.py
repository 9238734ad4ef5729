"""The jobs of refunds: the refund at the payment gateway, and the e-mail that confirms it."""

from refunds.worker.mail_job import MailJob
from refunds.worker.refund_job import RefundJob

__all__ = ["MailJob", "RefundJob"]
