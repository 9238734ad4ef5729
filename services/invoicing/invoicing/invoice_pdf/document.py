"""The content of the invoice: seller and buyer, lines, taxes, totals."""

from collections.abc import Iterator
from io import BytesIO

from common.money import format_amount
from reportlab import rl_config
from reportlab.lib.colors import white
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import BaseDocTemplate, Flowable, KeepTogether, Paragraph, Spacer, Table

from invoicing.domain.snapshot import Address, Line, Snapshot, display_rate
from invoicing.invoice_pdf.fonts import BOLD, REGULAR, markup
from invoicing.invoice_pdf.page import CLAY, GREY, INK, SAND, TEXT_WIDTH, CountingCanvas, page_templates

# Streams as plain bytes in place of ASCII: smaller and quicker.
rl_config.useA85 = 0

_TEXT = ParagraphStyle("text", fontName=REGULAR, fontSize=9, leading=12.5, textColor=INK, splitLongWords=True)
_CELL = ParagraphStyle("cell", parent=_TEXT, fontSize=8.5, leading=11)
_NOTE = ParagraphStyle("note", parent=_TEXT, fontSize=8.5, leading=12, textColor=GREY)

_LINE_COLUMNS = (9 * mm, 75 * mm, 18 * mm, 27 * mm, 13 * mm, 32 * mm)
_LINE_STYLE = [
    ("FONT", (0, 0), (-1, 0), BOLD, 7.5, 10),
    ("TEXTCOLOR", (0, 0), (-1, 0), white),
    ("BACKGROUND", (0, 0), (-1, 0), INK),
    ("FONT", (0, 1), (-1, -1), REGULAR, 8.5, 11),
    ("TEXTCOLOR", (0, 1), (-1, -1), INK),
    ("ROWBACKGROUNDS", (0, 1), (-1, -1), (white, SAND)),
    ("ALIGN", (2, 0), (-1, -1), "RIGHT"),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("TOPPADDING", (0, 0), (-1, -1), 4),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 5),
    ("LINEBELOW", (0, -1), (-1, -1), 0.8, INK),
]
_TOTAL_STYLE = [
    ("FONT", (0, 0), (-1, -2), REGULAR, 9, 12),
    ("FONT", (0, -1), (-1, -1), BOLD, 11, 14),
    ("TEXTCOLOR", (0, 0), (-1, -2), INK),
    ("TEXTCOLOR", (0, -1), (-1, -1), white),
    ("BACKGROUND", (0, -1), (-1, -1), CLAY),
    ("ALIGN", (1, 0), (1, -1), "RIGHT"),
    ("TOPPADDING", (0, 0), (-1, -1), 2.5),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
    ("TOPPADDING", (0, -1), (-1, -1), 5),
    ("BOTTOMPADDING", (0, -1), (-1, -1), 7),
]
_BLOCK_STYLE = [
    ("FONT", (0, 0), (-1, -1), REGULAR, 9, 12.5),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 9),
]


def render(snapshot: Snapshot) -> bytes:
    """The PDF; one snapshot gives the same bytes always and everywhere, as long as this code is the same."""
    buffer = BytesIO()
    template = BaseDocTemplate(
        buffer,
        pageTemplates=page_templates(snapshot),
        title=f"Invoice {snapshot.invoice_number}",
        author=snapshot.seller.name,
        subject=f"Order {snapshot.order_number}",
        creator=snapshot.seller.brand,
        lang="en",
        invariant=1,
        initialFontName=REGULAR,
    )
    template.build(list(_story(snapshot)), canvasmaker=CountingCanvas)
    return buffer.getvalue()


def _story(snapshot: Snapshot) -> Iterator[Flowable]:
    yield _parties(snapshot)
    yield Spacer(0, 3 * mm)
    yield _lines(snapshot)
    yield Spacer(0, 5 * mm)
    yield KeepTogether([_totals(snapshot), Spacer(0, 6 * mm), Paragraph(_closing_words(snapshot), _NOTE)])


def _parties(snapshot: Snapshot) -> Table:
    seller, buyer = snapshot.seller, snapshot.buyer
    details = [
        f"<b>{markup(snapshot.invoice_number)}</b>",
        f"Invoice date {snapshot.invoice_date.isoformat()}",
        f"Shipped on {snapshot.shipped_on.isoformat()}",
        f"Order {markup(snapshot.order_number)}",
    ]
    sold_by = [f"<b>{markup(seller.name)}</b>", *_address(seller.address), f"VAT id {markup(seller.vat_id)}"]
    buyer_name = markup(buyer.name or "", fallback=f"Customer {buyer.customer_id}")
    billed_to = [f"<b>{buyer_name}</b>", *_address(buyer.address)]
    if buyer.vat_id:
        billed_to.append(f"VAT id {markup(buyer.vat_id)}")
    shipped_to = [f"<b>{buyer_name}</b>", *_address(snapshot.shipping_address)]
    half = TEXT_WIDTH / 2
    return Table(
        [
            [_block("INVOICE", details), _block("SOLD BY", sold_by)],
            [_block("BILLED TO", billed_to), _block("SHIPPED TO", shipped_to)],
        ],
        colWidths=(half, half),
        style=_BLOCK_STYLE,
    )


def _block(label: str, lines: list[str]) -> Paragraph:
    heading = f'<font name="{BOLD}" size="7.5" color="{CLAY.hexval()}">{label}</font>'
    return Paragraph("<br/>".join([heading, *lines]), _TEXT)


def _address(address: Address) -> list[str]:
    """Without the empty parts of the address: no stray comma, no blank line."""
    city = " ".join(filter(None, (markup(address.zip), markup(address.city))))
    town = ", ".join(filter(None, (city, markup(address.state))))
    return [line for line in (markup(address.street), town, markup(address.country)) if line]


def _lines(snapshot: Snapshot) -> Table:
    currency = snapshot.currency
    header = ("#", "DESCRIPTION", "QUANTITY", f"PRICE {currency}", "TAX", f"NET {currency}")
    rows = [_line_row(number, line, currency) for number, line in enumerate(snapshot.lines, start=1)]
    return Table([header, *rows], colWidths=_LINE_COLUMNS, repeatRows=1, style=_LINE_STYLE)


def _line_row(number: int, line: Line, currency: str) -> tuple[str | Paragraph, ...]:
    return (
        str(number),
        Paragraph(markup(line.product_name), _CELL),
        f"{line.quantity:,}",
        format_amount(line.unit_price, currency),
        display_rate(line.tax_rate),
        format_amount(line.subtotal, currency),
    )


def _totals(snapshot: Snapshot) -> Table:
    currency = snapshot.currency
    rows = [("Net amount", format_amount(snapshot.net_amount, currency))]
    rows += [
        (f"Tax {display_rate(tax.rate)} on {format_amount(tax.net, currency)}", format_amount(tax.tax, currency))
        for tax in snapshot.taxes
    ]
    rows += [("Total tax", format_amount(snapshot.tax_amount, currency))] if len(snapshot.taxes) > 1 else []
    rows += [(f"Total {currency}", format_amount(snapshot.total_amount, currency))]
    return Table(rows, colWidths=(52 * mm, 40 * mm), hAlign="RIGHT", style=_TOTAL_STYLE)


def _closing_words(snapshot: Snapshot) -> str:
    paid = "This invoice is paid in full; nothing is due."
    if snapshot.payment_reference:
        paid = f"Paid in full, reference {markup(snapshot.payment_reference)}; nothing is due."
    return f"{paid} Thank you for buying from the people who make things."
