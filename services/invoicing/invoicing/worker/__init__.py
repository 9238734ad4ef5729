"""The jobs of invoicing: the document, and the e-mail that carries it."""

from invoicing.worker.document_job import DocumentJob
from invoicing.worker.mail_job import MailJob

__all__ = ["DocumentJob", "MailJob"]
