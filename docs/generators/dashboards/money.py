"""The dashboard of money: refunds, the payment provider, the book, invoices, e-mails and reviews of returns."""

from generators.dashboards.panels import Dashboard, Panel, Query, Row
from generators.dashboards.queries import in_the_last_hour, latest

_REFUNDS = Row(
    "Refunds",
    [
        Panel("Refunds that ended", "short", "In the last hour; a failed refund may succeed after a replay.",
              [in_the_last_hour("refunds_total", "outcome")]),
        Panel("Open refunds", "short", "By state.", [latest("refunds_open", "state")]),
        Panel("Longest unknown outcome", "s", "Of a refund. UnknownRefunds fires at 15 minutes.",
              [latest("refunds_unknown_age_seconds", "service")]),
        Panel("From accepted to refunded", "s", "95th percentile. The objective is two hours.",
              [Query("histogram_quantile(0.95, sum by (le) (rate(refund_seconds_bucket[1h])))", "refund")]),
    ],
)  # fmt: skip

_PROVIDER = Row(
    "Payment provider and book",
    [
        Panel("Circuit", "short", "1 while refunds wait for the payment gateway to answer.",
              [latest("payment_gateway_circuit_open", "gateway")]),
        Panel("Events of the provider", "short", "In the last hour; swept: found before any webhook.",
              [in_the_last_hour("gateway_events_total", "outcome"),
               Query("sum(increase(gateway_events_swept_total[1h]))", "swept")]),
        Panel("Unexpected payments", "short", "In the last hour. Mismatched ones wait for staff.",
              [in_the_last_hour("unexpected_payments_total", "kind")]),
        Panel("Disputes", "short", "Undecided. Refunds of these payments are held.",
              [Query("max(payment_disputes_open)", "open")]),
        Panel("Trial balance", "short", "Difference between debit and credit, in major units: anything but 0 is wrong.",
              [latest("book_trial_balance_difference", "currency")]),
        Panel("Book against provider", "short", "Payments refunded beyond what was captured; reports that differ.",
              [Query("max(book_payments_in_excess)", "in excess"),
               Query("max(book_disagreements)", "disagreements")]),
    ],
)  # fmt: skip

_INVOICES = Row(
    "Invoices, e-mails and reviews",
    [
        Panel("Invoices", "short", "Outcomes of the last hour.", [in_the_last_hour("invoices_total", "outcome")]),
        Panel("From shipped to issued", "s", "95th percentile. The objective is five minutes.",
              [Query("histogram_quantile(0.95, sum by (le) (rate(invoice_issue_seconds_bucket[1h])))", "invoice")]),
        Panel("E-mails", "short", "Invoice and refund e-mails of the last hour.",
              [in_the_last_hour("invoice_mails_total", "outcome", "invoice {{outcome}}"),
               in_the_last_hour("refund_mails_total", "outcome", "refund {{outcome}}")]),
        Panel("Returns without a decision", "s", "Age of the oldest.",
              [Query("max(returns_oldest_unreviewed_age_seconds)", "oldest")]),
        Panel("Overdue reviews", "short", "The alert ReturnReviewsLate fires at any.",
              [Query("max(returns_overdue_reviews)", "overdue")]),
        Panel("Steps of late reviews", "short", "Reminders and escalations of the last hour.",
              [in_the_last_hour("return_review_steps_total", "outcome")]),
    ],
)  # fmt: skip

MONEY = Dashboard(
    "money", "ArtiCurated: money", "Refunds, the payment provider, the book, invoices and what customers are told.",
    [_REFUNDS, _PROVIDER, _INVOICES],
)  # fmt: skip
