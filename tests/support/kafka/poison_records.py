"""Poison records of every known kind, and a valid record."""

from dataclasses import replace

from support.kafka.raw_records import RawRecord, order_shipped_record

GOOD_RECORD = order_shipped_record("poisonous")
POISON_RECORDS: dict[str, RawRecord] = {
    "no JSON": replace(GOOD_RECORD, value=b"{no"),
    "other data": replace(GOOD_RECORD, value=b'{"order": 1}'),
    "header that is no text": GOOD_RECORD.with_header("ce_id", b"\xff"),
    "type that is no text": GOOD_RECORD.with_header("ce_type", b"\xff"),
    "header without value": GOOD_RECORD.with_header("ce_id", None),
    "null value": replace(GOOD_RECORD, value=None),
    "value that is no text": replace(GOOD_RECORD, value=b"\xff\xfe"),
    "no headers": replace(GOOD_RECORD, headers=[]),
    "major version of the future": GOOD_RECORD.with_header("ce_type", b"com.articurated.order.shipped.v2"),
    "key that is no text": replace(GOOD_RECORD, key=b"\xff"),
    "no key": replace(GOOD_RECORD, key=None),
    "impossible sequence": GOOD_RECORD.with_header("ce_sequence", b"first"),
    "time out of bounds": GOOD_RECORD.with_header("ce_time", b"0001-01-01T00:00:00+14:00"),
    "id that the database cannot hold": GOOD_RECORD.with_header("ce_id", b"nul\0"),
    "header name that the database cannot hold": replace(GOOD_RECORD, value=None).with_header("nul\0", b"\0"),
    "effect that the database cannot hold": replace(
        GOOD_RECORD, value=b'{"order": "o", "sequence": 9223372036854775808}'
    ),
    "handler raises": order_shipped_record("broken"),
}
