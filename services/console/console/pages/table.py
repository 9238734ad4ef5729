"""The table of all pages. A page is one module, one template and one row here (CONTRIBUTING, "Add a page").

The order of the rows is that of the navigation.
"""

from console import operations as ops
from console.pages import order, orders, overview
from console.pages.order_steps import STEPS
from console.pages.page import Page
from console.pages.work_table import WORK_PAGES

_ORDER = "/orders/{order_id}"

PAGES = (
    Page("/", "Overview", overview.page, in_navigation=True),
    Page("/overview/live", "Overview", overview.live),
    Page("/orders", "Orders", orders.page, (ops.LIST_ORDERS,), in_navigation=True),
    Page(_ORDER, "Order", order.page, (ops.READ_ORDER,)),
    Page(f"{_ORDER}/invoice", "Invoice", order.invoice, (ops.READ_INVOICE,)),
    Page(f"{_ORDER}/act", "Order", order.act, (ops.EXPLAIN_ORDER,), "POST"),
    *(Page(f"{_ORDER}/{step.name}", "Order", order.take(step), (step.operation,), "POST") for step in STEPS),
    *WORK_PAGES,
)
