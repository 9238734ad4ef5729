"""How jobs and their attempts are named in findings."""

from collections.abc import Mapping

from orders.explanation.service_timeline import Job

NAMES: Mapping[str, str] = {
    "invoice-document": "the PDF of the invoice",
    "invoice-mail": "the e-mail with the invoice",
    "refund": "the refund",
    "refund-mail": "the e-mail about the refund",
    "return-review": "the reminder of a return without a decision",
}
MAIL_KINDS = frozenset({"invoice-mail", "refund-mail", "return-review"})


def name_of(job: Job) -> str:
    return NAMES.get(job.kind, job.kind)


def attempts_of(job: Job) -> str:
    number = max(job.failures, 1)
    return "one attempt" if number == 1 else f"{number} attempts"
