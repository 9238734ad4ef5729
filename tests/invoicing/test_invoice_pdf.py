"""The text of an invoice's PDF, extracted by another library."""

import time
from dataclasses import replace
from io import BytesIO
from types import BuiltinFunctionType
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invoicing.domain.snapshot import Snapshot
from invoicing.invoice_pdf.document import render
from invoicing.invoice_pdf.fonts import REPLACEMENT
from pypdf import PdfReader
from pypdf.generic import DictionaryObject, IndirectObject
from reportlab.lib import rl_accel
from support.example.invoice_snapshots import HOME, a_line, a_snapshot


def pages(snapshot: Snapshot) -> list[str]:
    return [page.extract_text() for page in PdfReader(BytesIO(render(snapshot))).pages]


def text(snapshot: Snapshot) -> str:
    return " ".join(" ".join(pages(snapshot)).split())


def fonts(snapshot: Snapshot) -> dict[str, bool]:
    """Each font that a page uses, and whether it is embedded."""
    is_embedded = {}
    for page in PdfReader(BytesIO(render(snapshot))).pages:
        page_fonts = cast(DictionaryObject, cast(DictionaryObject, page["/Resources"])["/Font"])
        for font in map(cast_dictionary, page_fonts.values()):
            is_embedded[str(font["/BaseFont"])] = "/FontFile2" in cast_dictionary(font.get("/FontDescriptor", {}))
    return is_embedded


def cast_dictionary(value: Any) -> DictionaryObject:
    return cast(DictionaryObject, value.get_object() if isinstance(value, IndirectObject) else value)


def test_all_facts_of_an_invoice_are_on_its_page() -> None:
    page = text(a_snapshot())
    for fact in (
        "ArtiCurated",
        "INV-2026-000001",
        "Invoice date 2026-11-22",
        "Shipped on 2026-11-20",
        "Order ORD-2026-000042",
        "ArtiCurated SARL 12 Rue des Potiers 87000 Limoges, Nouvelle-Aquitaine France VAT id FR40303265045",
        "Ada Łukasiewicz Großer Hirschgraben 23 60311 Frankfurt am Main, Hessen DE VAT id DE136695976",
        "Ada Łukasiewicz Zum Ödberg 7 35037 Marburg, Hessen DE",
        "1 Teacup, celadon glaze 2 24.90 19 % 49.80",
        "2 Linen towel “Małgorzata” 1 18.50 7 % 18.50",
        "Net amount 68.30",
        "Tax 7 % on 18.50 1.30",
        "Tax 19 % on 49.80 9.46",
        "Total tax 10.76",
        "Total EUR 79.06",
        "Paid in full, reference ch_teacups",
        "Page 1 of 1",
    ):
        assert fact in page


def test_a_buyer_without_name_or_vat_id_is_still_identified() -> None:
    snapshot = a_snapshot(payment_reference=None)
    page = text(replace(snapshot, buyer=replace(snapshot.buyer, name=None, vat_id=None)))
    assert f"Customer {snapshot.buyer.customer_id} Großer Hirschgraben 23" in page
    assert page.count("VAT id") == 2  # the seller's, in the header and in the footer
    assert "This invoice is paid in full" in page


@pytest.mark.parametrize(
    ("currency", "price", "printed_amount"),
    [("JPY", "1234567", "1,234,567"), ("KWD", "1234.567", "1,234.567"), ("USD", "999999999.99", "999,999,999.99")],
)
def test_amounts_have_the_decimals_of_their_currency(currency: str, price: str, printed_amount: str) -> None:
    page = text(a_snapshot(lines=[a_line(price, 1, "0")], currency=currency))
    assert f"1 {printed_amount} 0 % {printed_amount}" in page
    assert f"Total {currency} {printed_amount}" in page


def test_a_long_invoice_repeats_its_header_and_counts_its_pages() -> None:
    lines = [a_line(name=f"Teacup number {number}") for number in range(1, 201)]
    texts = pages(a_snapshot(lines=lines))
    assert len(texts) > 4
    for number, page in enumerate(texts, start=1):
        assert "DESCRIPTION" in page
        assert f"Page {number} of {len(texts)}" in " ".join(page.split())
        assert "INV-2026-000001" in page
    all_text = " ".join(texts)
    assert all(f"Teacup number {number}\n" in all_text for number in range(1, 201))


def test_the_longest_texts_and_amounts_stay_on_the_page() -> None:
    long_line = a_line("999999.99", 1_000_000, "99.99", name="W" * 255)
    address = replace(HOME, street="Ü" * 255, city="Ł" * 100, state="Ş" * 50)
    snapshot = a_snapshot(lines=[long_line], shipping_address=address, payment_reference="x" * 255)
    all_text = "".join(pages(snapshot)).replace("\n", "")
    assert "W" * 255 in all_text
    assert "Ü" * 255 in all_text
    assert "999,999,990,000.00" in all_text


@pytest.mark.parametrize("character", ["W", "葛", "🍵", "a\u0301", "W "])
def test_the_longest_invoice_is_rendered_in_a_bounded_time(character: str) -> None:
    """It takes at most 0.6 s of processor time; a rendering process is ended after 15 s."""
    name = (character * 255)[:255]
    longest = a_snapshot(lines=[a_line("999.99", 1_000, "19.00", name=name)] * 200)
    start = time.process_time()
    assert len(render(longest)) < 1_000_000
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "hostile", ["<b>bold</b>", "<img src='file:///etc/passwd'/>", "</para><para>", "&amp;&lt;", "<font size=99>", "<"]
)
def test_markup_in_texts_of_users_is_printed_and_not_interpreted(hostile: str) -> None:
    snapshot = a_snapshot(lines=[a_line(name=hostile)], shipping_address=replace(HOME, street=hostile))
    page = text(replace(snapshot, buyer=replace(snapshot.buyer, name=hostile, vat_id=hostile)))
    assert page.count(hostile) >= 5


@pytest.mark.parametrize(
    "name",
    [
        "Małgorzata Żółć",
        "Ελένη Παπαδοπούλου",
        "Ольга Щёткина",
        "Nguyễn Thị Ánh",
        "İbrahim Çağrı Şen",  # noqa: RUF001
        "山田 太郎",
        "김민준",
        "王小明 龙",
        "李麗華 臺灣",
        "Zoë 山田 and Ольга",
    ],
)
def test_names_are_printed_in_any_script(name: str) -> None:
    assert name in text(a_snapshot(lines=[a_line(name=name)]))


def test_a_letter_and_its_combining_accent_are_one_character() -> None:
    assert "Zoë" in text(a_snapshot(lines=[a_line(name="Zoe\N{COMBINING DIAERESIS}")]))


@pytest.mark.parametrize("name", ["ﷺ", "🎁", "𓀀", "עברית", "ไทย"])
def test_a_character_that_no_font_has_is_visibly_replaced(name: str) -> None:
    assert f"Vase {REPLACEMENT * len(name)} blue" in text(a_snapshot(lines=[a_line(name=f"Vase {name} blue")]))


def test_invisible_characters_cannot_reverse_the_text() -> None:
    assert "Vase blue" in text(a_snapshot(lines=[a_line(name="Va\u202ese\u2066 \u200bblue")]))


@pytest.mark.parametrize(
    ("name", "printed_text"),
    [
        ("葛\U000e0100城", "葛城"),
        ("☎\ufe0f", "☎"),
        ("❤\ufe0f\u200d🔥", REPLACEMENT * 2),
        ("Zu\u00adcker", "Zucker"),
        ("a\u3164b\uffa0c\u115fd\u180ee\U000e0041f\u034fg\ufeffh\ufff9i", "abcdefghi"),
        ("a\u2800b", "a b"),
    ],
)
def test_texts_without_visible_characters_are_omitted_from_the_page(name: str, printed_text: str) -> None:
    page = text(a_snapshot(lines=[a_line(name=f"Vase {name} blue")]))
    # It depends on the font whether it has the sign itself.
    assert f"Vase {printed_text} blue" in page or f"Vase {REPLACEMENT * len(printed_text)} blue" in page
    assert page.count(REPLACEMENT) <= len(printed_text)


@pytest.mark.parametrize("name", ["\u200b", "\ufe0f \U000e0100", "\u2800"])
def test_a_name_without_visible_characters_counts_as_missing(name: str) -> None:
    snapshot = a_snapshot()
    buyer = replace(snapshot.buyer, name=name)
    assert f"Customer {buyer.customer_id}" in text(replace(snapshot, buyer=buyer))


@pytest.mark.parametrize(
    ("changes", "town"),
    [
        ({"state": ""}, "60311 Frankfurt am Main"),
        ({"zip": ""}, "Frankfurt am Main, Hessen"),
        ({"state": "", "zip": ""}, "Frankfurt am Main"),
        ({"state": "\u200b", "zip": "\u3164"}, "Frankfurt am Main"),
        ({}, "60311 Frankfurt am Main, Hessen"),
    ],
)
def test_an_address_without_state_or_postal_code_has_no_gap(changes: dict[str, str], town: str) -> None:
    address = replace(HOME, **changes)
    snapshot = a_snapshot(shipping_address=address)
    [page] = pages(replace(snapshot, buyer=replace(snapshot.buyer, address=address)))
    lines = [line.strip() for line in page.splitlines()]
    assert lines.count(town) == 2
    assert lines[lines.index(town) - 1] == HOME.street
    assert lines[lines.index(town) + 1] == HOME.country


def test_the_accelerator_of_reportlab_is_in_use() -> None:
    """Without it, rendering works, and takes a quarter more of the processor's time."""
    assert {"fp_str", "instanceStringWidthTTF", "escapePDF"} <= {
        name for name in vars(rl_accel) if isinstance(getattr(rl_accel, name), BuiltinFunctionType)
    }


def test_latin_text_is_set_in_embedded_fonts_only() -> None:
    assert all(fonts(a_snapshot()).values())


@settings(max_examples=40)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_can_be_printed(name: str) -> None:
    assert render(a_snapshot(lines=[a_line(name=name)])).startswith(b"%PDF-")
