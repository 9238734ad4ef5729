"""The page templates of the invoice: colour band, logo, and a footer with the seller and the page number."""

from typing import Any

from reportlab.lib.colors import HexColor, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate, Paragraph

from invoicing.domain.snapshot import Snapshot
from invoicing.invoice_pdf.fonts import BOLD, REGULAR, markup

INK, CLAY, SAND, GREY = HexColor("#1d3539"), HexColor("#c4623a"), HexColor("#f7f2ec"), HexColor("#66767a")
WIDTH, HEIGHT = A4
MARGIN = 18 * mm
TEXT_WIDTH = WIDTH - 2 * MARGIN

_BAND, _LATER_BAND, _STRIPE = 30 * mm, 14 * mm, 1.2 * mm
_FOOTER, _FOOTER_TOP = 22 * mm, 15 * mm
_PAGE_COUNT = "page-count"
_TITLE = ParagraphStyle("title", fontName=BOLD, fontSize=17, leading=20, textColor=white)
_RUNNING_TITLE = ParagraphStyle("running-title", parent=_TITLE, fontSize=9, leading=11)
_IMPRINT = ParagraphStyle("imprint", fontName=REGULAR, fontSize=7.5, leading=10, textColor=GREY)


class CountingCanvas(Canvas):  # type: ignore[misc]  # reportlab has no types
    """Prints the number of pages on each page, in a form that is filled in once the last page is known."""

    def save(self) -> None:
        """Draw the number of pages into the form to which the footer of each page refers, and end the document."""
        pages = self.getPageNumber() - 1
        self.beginForm(_PAGE_COUNT, 0, -2, 40, 10)
        self.setFont(REGULAR, _IMPRINT.fontSize)
        self.setFillColor(GREY)
        self.drawString(0, 0, str(pages))
        self.endForm()
        super().save()


def page_templates(snapshot: Snapshot) -> list[PageTemplate]:
    """The first page with the full band, and all later ones."""

    def draw_first_page(canvas: Any, template: BaseDocTemplate) -> None:
        _draw_band(canvas, _BAND)
        _draw_mark(canvas, MARGIN, HEIGHT - _BAND + 8 * mm, 14 * mm)
        _draw_text(canvas, Paragraph(markup(snapshot.seller.brand), _TITLE), MARGIN + 18 * mm, HEIGHT - 11.5 * mm)
        canvas.setFillColor(white)
        canvas.setFont(REGULAR, 17)
        canvas.drawRightString(WIDTH - MARGIN, HEIGHT - 17 * mm, "INVOICE")
        _draw_footer(canvas, snapshot)

    def draw_later_page(canvas: Any, template: BaseDocTemplate) -> None:
        _draw_band(canvas, _LATER_BAND)
        _draw_mark(canvas, MARGIN, HEIGHT - _LATER_BAND + 3 * mm, 8 * mm)
        title = Paragraph(markup(snapshot.seller.brand), _RUNNING_TITLE)
        _draw_text(canvas, title, MARGIN + 11 * mm, HEIGHT - 5.2 * mm)
        canvas.setFillColor(white)
        canvas.setFont(REGULAR, 9)
        canvas.drawRightString(WIDTH - MARGIN, HEIGHT - 8.2 * mm, f"Invoice {snapshot.invoice_number}")
        _draw_footer(canvas, snapshot)

    return [
        PageTemplate("first", [_frame(_BAND)], onPage=draw_first_page, autoNextPageTemplate="later"),
        PageTemplate("later", [_frame(_LATER_BAND)], onPage=draw_later_page),
    ]


def _frame(band: float) -> Frame:
    height = HEIGHT - band - _STRIPE - 8 * mm - _FOOTER
    return Frame(MARGIN, _FOOTER, TEXT_WIDTH, height, leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0)


def _draw_band(canvas: Any, height: float) -> None:
    canvas.setFillColor(INK)
    canvas.rect(0, HEIGHT - height, WIDTH, height, stroke=0, fill=1)
    canvas.setFillColor(CLAY)
    canvas.rect(0, HEIGHT - height - _STRIPE, WIDTH, _STRIPE, stroke=0, fill=1)


def _draw_mark(canvas: Any, x: float, y: float, size: float) -> None:
    """A thrown vase on a tile of clay, `size` wide and high."""
    canvas.saveState()
    canvas.translate(x, y)
    canvas.scale(size / 100, size / 100)
    canvas.setFillColor(CLAY)
    canvas.roundRect(0, 0, 100, 100, 22, stroke=0, fill=1)
    vase = canvas.beginPath()
    vase.moveTo(36, 84)
    vase.lineTo(64, 84)
    vase.curveTo(62, 74, 56, 72, 57, 64)
    vase.curveTo(60, 56, 80, 52, 78, 36)
    vase.curveTo(77, 26, 68, 20, 63, 16)
    vase.lineTo(37, 16)
    vase.curveTo(32, 20, 23, 26, 22, 36)
    vase.curveTo(20, 52, 40, 56, 43, 64)
    vase.curveTo(44, 72, 38, 74, 36, 84)
    vase.close()
    canvas.setFillColor(white)
    canvas.drawPath(vase, stroke=0, fill=1)
    canvas.setStrokeColor(CLAY)
    canvas.setLineWidth(3.5)
    for height, left, right in ((42, 22.5, 77.5), (35, 21.5, 78.5)):
        canvas.line(left, height, right, height)
    canvas.restoreState()


def _draw_footer(canvas: Any, snapshot: Snapshot) -> None:
    canvas.setStrokeColor(CLAY)
    canvas.setLineWidth(0.6)
    canvas.line(MARGIN, _FOOTER_TOP, WIDTH - MARGIN, _FOOTER_TOP)
    seller = snapshot.seller
    imprint = f"{markup(seller.name)} · VAT id {markup(seller.vat_id)} · {markup(seller.email)}"
    _draw_text(canvas, Paragraph(imprint, _IMPRINT), MARGIN, _FOOTER_TOP - 2.5 * mm, width=TEXT_WIDTH - 30 * mm)
    canvas.setFillColor(GREY)
    canvas.setFont(REGULAR, _IMPRINT.fontSize)
    before_count = WIDTH - MARGIN - 4 * mm
    canvas.drawRightString(before_count, _FOOTER_TOP - 5.3 * mm, f"Page {canvas.getPageNumber()} of ")
    canvas.saveState()
    canvas.translate(before_count, _FOOTER_TOP - 5.3 * mm)
    canvas.doForm(_PAGE_COUNT)
    canvas.restoreState()


def _draw_text(canvas: Any, paragraph: Paragraph, x: float, top: float, *, width: float = 100 * mm) -> None:
    _, height = paragraph.wrap(width, HEIGHT)
    paragraph.drawOn(canvas, x, top - height)
