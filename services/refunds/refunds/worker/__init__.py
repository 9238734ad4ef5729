"""What refunds does in jobs: the refund itself, and the e-mail that confirms it."""

from refunds.worker.confirmation_job import ConfirmationJob
from refunds.worker.refund_job import RefundJob

__all__ = ["ConfirmationJob", "RefundJob"]
