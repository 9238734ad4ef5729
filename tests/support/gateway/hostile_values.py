"""Texts, numbers and shapes of bodies that clients may send."""

# ruff: noqa: RUF001 - ambiguous characters are the subject of this module

from typing import Any

# Written so that each has a reason; tests/orders/test_hostile_texts.py has many more for the fields of an order.
TEXTS = {
    "composed (NFC)": "caf\u00e9 \u1e69",
    "decomposed (NFD)": "cafe\u0301 s\u0323\u0307",
    "compatibility characters (NFKC differs)": "ﬁ ① Å ㍿ Ｔ",
    "precomposed and singleton": "\u212b \u00c5 \u1fbe",
    "SQL": "'; DROP TABLE orders; -- \" OR 1=1 \\",
    "HTML": "<script>alert('&amp;')</script><!-- ]]>",
    "templates": "{{7*7}} ${jndi:ldap://x/a} %s%n {0} $(id) `id`",
    "JSON in a text": '{"a": ["\\u0000", null]}',
    "formula": "=cmd|' /C calc'!A0",
    "backslashes": "C:\\new\\table \\u0041 \\",
    "CRLF": "one\r\ntwo",
    "header injection": "x\r\nX-API-Key: y\r\n\r\n",
    "line feed": "one\ntwo",
    "tab": "one\ttwo",
    "NUL": "a\x00b",
    "escape": "\x1b[31mred\x07",
    "delete and C1": "a\x7fb\x85c",
    "lone high surrogate": "a\ud800b",
    "lone low surrogate": "a\udfffb",
    "surrogates in the wrong sequence": "\udc00\ud800",
    "astral": "𝔸 👩🏽‍🚀 \U0010ffff",
    "right to left": "\u202eabc\u202c \u2066x\u2069 שלום",
    "separators": "a\u2028b\u2029c",
    "byte order mark": "\ufeffa",
    "noncharacters": "a\uffff\ufdd0",
    "private use": "\ue000\U000f0000",
    "combining without end": "a" + "\u0301" * 40,
    "blanks at the ends": " \u00a0a\u3000 ",
    "blanks only": " \t ",
    "invisible only": "\u200b\u2060\u3164",
    "empty": "",
    "number-like": "1e400",
    "null-like": "null",
    "long": "x" * 256,
    "very long": "x" * 10_000,
}
# Tokens of JSON, or of what some parsers take for JSON, in the place of a number.
NUMBERS = (
    "NaN", "Infinity", "-Infinity", "-0.0", "-0", "-1", "0", "1e400", "-1e400", "1e-400", "1E+2", "1.0", "1.50", "0.1",
    "1" * 40, "0." + "1" * 40, "9" * 5000, "9007199254740993", "18446744073709551616", "1e999999999", "01", "1.", ".5",
    "+1", "0x1", "1_0", '"1"', "true", "null", "[]", "{}",
)  # fmt: skip
WRONG_TYPES: tuple[Any, ...] = (0, 1.5, True, [], ["a"], {}, {"a": "b"}, [[["a"]]])
SHAPES = {
    "nothing": b"",
    "text": b"not JSON",
    "cut off": b'{"reason": "a',
    "form": b"reason=a&new_state=PAID",
    "XML": b"<order/>",
    "array": b"[]",
    "string": b'"a"',
    "null": b"null",
    "two values": b"{} {}",
    "NaN": b"NaN",
    "invalid UTF-8": b'{"reason": "\xff"}',
    "UTF-16": '{"reason": "a"}'.encode("utf-16"),
    "surrogate as UTF-8": b'{"reason": "\xed\xa0\x80"}',
    "deep array": b"[" * 100_000,
    "deep object": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "10 MB": b'{"reason": "' + b"a" * 10_000_000 + b'"}',
    "10 MB of members": b"{" + b",".join(b'"%d":1' % number for number in range(700_000)) + b"}",
}
