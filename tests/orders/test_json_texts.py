"""JSON texts that parsers treat differently, as bodies of an order: accepted or rejected, never a 500.

The classes are those of the JSONTestSuite of Nicolas Seriot: texts that RFC 8259 defines as JSON, texts that are not
JSON, and texts that it leaves to the parser. The texts are written for this test.
"""

import pytest
from support.gateway.application import Gateway

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

JSON = [
    b"[]", b"{}", b"[ ]", b"\t\n\r []\n", b'""', b'"a"', b"0", b"-0", b"42", b"-42", b"null", b"true", b"false",
    b'[""]', b"[null, 1, \"1\", {}]", b"[[]   ]", b"[1,null,null,null,2]", b"[2] ", b" [1]", b"[[[[[[[[1]]]]]]]]",
    b"[0e+1]", b"[0e1]", b"[ 4]", b"[-0.000000000000000000000000000000000000000000000000000000000000000000001]",
    b"[20e1]", b"[-0]", b"[-123]", b"[-1]", b"[-0.0]", b"[1E22]", b"[1E-2]", b"[1E+2]", b"[123e45]", b"[123.456e78]",
    b"[1e-2]", b"[1e+2]", b"[123]", b"[123.456789]", b"[0.1]", b"[1e400]", b"[-1e-400]", b"[18446744073709551616]",
    b'{"asd":"sdf", "dfg":"fgh"}', b'{"asd":"sdf"}', b'{"":0}', b'{"a":[]}', b'{"a" : 1 , "b":2 }', b'{"x":{"x":{}}}',
    b'{"min": -1.0e+28, "max": 1.0e+28}', b'{\n"a": "b"\n}', b'{"title":"\\u041f\\u043e\\u043b" }',
    b'["\\u0060\\u012a\\u12AB"]', b'["\\uD801\\udc37"]', b'["\\ud83d\\ude39\\ud83d\\udc8d"]',
    b'["\\"\\\\\\/\\b\\f\\n\\r\\t"]', b'["\\\\u0000"]', b'["\\""]', b'["a/*b*/c/*d//e"]', b'["\\\\a"]', b'["\\\\n"]',
    b'["\\u0012"]', b'["\\uFFFF"]', b'["asd"]', b'[ "asd"]', b'["\\uDBFF\\uDFFF"]', b'["new\\u00A0line"]',
    b'["\xf4\x8f\xbf\xbf"]', b'["\xef\xbf\xbf"]', b'["\\u002c"]', b'["\xcf\x80"]', b'["\xf0\x9b\xbf\xbf"]',
    b'["asd "]', b'" "', b'["\\uD834\\uDd1e"]', b'["\\u0821"]', b'["\\u0123"]', b'["\xe2\x80\xa8"]',
    b'["\xe2\x80\xa9"]', b'["\\u0061\\u30af\\u30EA"]', b'["new\\u000Aline"]', b'["\x7f"]', b'["\\uA66D"]',
    b'["\xe2\x8d\x82\xe3\x88\xb4"]', b'["\\u005C"]', b'["\\u0022"]', b'["\\u200B"]', b'["\\u2064"]', b'["\\uFDD0"]',
    b'["\\uFFFE"]', b'["\xc2\x80"]', b'["a\x7fa"]', BYTE_ORDER_MARK + b"{}", b"[" * 200 + b"]" * 200,
]  # fmt: skip
INVALID_JSON = [
    b"[1 true]", b"[a\xe5]", b'["": 1]', b'[""],', b"[,1]", b"[1,,2]", b'["x",,]', b'["x"]]', b'["",]', b'["x"',
    b"[x", b"[3[ 4]]", b"[\xff]", b"[1:2]", b"[,]", b"[-]", b"[   , \"\"]", b'["a",\n4\n,1,', b"[1,]", b"[1,,]",
    b'["\x0ba"\\f]', b"[*]", b'[""', b"[1,", b"[1,\n1\n,1", b"[{}", b"[fals]", b"[nul]", b"[tru]", b"[++1234]",
    b"[+1]", b"[+Inf]", b"[-01]", b"[-1.0.]", b"[-2.]", b"[-NaN]", b"[.-1]", b"[.2e-3]", b"[0.1.2]", b"[0.3e+]",
    b"[0.3e]", b"[0.e1]", b"[0E+]", b"[0E]", b"[0e+]", b"[0e]", b"[1.0e+]", b"[1.0e-]", b"[1.0e]", b"[1 000.0]",
    b"[1eE2]", b"[2.e+3]", b"[2.e-3]", b"[2.e3]", b"[9.e+]", b"[Inf]", b"[NaN]", b"[\xef\xbc\x91]", b"[1+2]",
    b"[0x1]", b"[0x42]", b"[Infinity]", b"[0e+-1]", b"[-123.123foo]", b"[123\xe5]", b"[1e1\xe5]", b"[0\xe5]",
    b"[-Infinity]", b"[-foo]", b"[- 1]", b"[-012]", b"[-.123]", b"[-1x]", b"[1ea]", b"[1e\xe5]", b"[1.]", b"[.123]",
    b"[1.2a-3]", b"[1.8011670033376514H-308]", b"[012]", b"[00.0]", b"[-00]", b"[1_000]", b'["x", truth]',
    b'{"x": 1, "y"}', b'{[: "x"}\n', b'{"x", null}', b'{"x"::"b"}', b"{\xf0\x9f\x87\xa8}", b'{"a":"a" 123}',
    b"{key: 'value'}", b"{\"a\": 'b'}", b'{"\xb9":"0",}', b'{"a" b}', b'{:"b"}', b'{"a" "b"}', b'{"a":', b'{"a"',
    b"{1:1}", b"{9999E9999:1}", b"{null:null,null:null}", b'{"id":0,,,,,}', b"{'a':0}", b'{"id":0,}',
    b'{"a":"b"}/**/', b'{"a":"b"}/**//', b'{"a":"b"}//', b'{"a":"b"}/', b'{"a":"b",,"c":"d"}', b"{a: \"b\"}",
    b'{"a":"a', b'{ "foo" : "bar", "a" }', b'{"a":"b"}#', b" ", b'["\\uD800\\"]', b'["\\uD800\\u"]',
    b'["\\uD800\\u1"]', b'["\\uD800\\u1x"]', b"[\xc3\xa9]", b'["\\\x00"]', b'["\\\\\\"]', b'["\\x00"]', b'["\\\t"]',
    b'["\\\xf0\x9f\x8c\x80"]', b'["\\"]', b'["\\u00A"]', b'["\\uD834\\uDd"]', b'["\\uD800\\uD800\\x"]',
    b'["\\u\xe5"]', b'["\\a"]', b'["\\uqqqq"]', b'["\\\xe5"]', b"[\\u0020\"asd\"]", b"[\\n]", b'"', b"['single']",
    b"abc", b'["\\', b'["a\x00a"]', b'["new\nline"]', b'["\t"]', b'["\x1f"]', b'"\\UA66D"', b'""x', b"[\xe2\x81\xa0]",
    b"\xef\xbb", BYTE_ORDER_MARK, BYTE_ORDER_MARK * 2 + b"{}", b"<.>", b"[<null>]", b"[1]x", b"[1]]", b'["asd]',
    b"a\xc3\xa5", b"[True]", b"1]", b'{"x": true,', b"[][]", b"]", b"\xef\xbb\xbf\xef\xbb\xbf", b"\xe5", b"[", b"2@",
    b"{}}", b'{"":', b'{"a":/*comment*/"b"}', b'{"a": true} "x"', b"['", b"[,", b"[{", b'["a', b'["a"', b"{", b"{]",
    b"{,", b"{[", b'{"a', b"{'a'", b'["\\{["\\{["\\{["\\{', b"\xe9", b"*", b'{"a":"b"}#{}', b"[\\u000A\"\"]", b"[1",
    b"[ false, nul", b"[ true, fals", b"[ false, tru", b"{\"asd\":\"asd\"", b"\xc3\xa5", b"\xef\xbb\xbf", b"[\x0c]",
    b"\x00", b"[\x00]", b"[1]\x00", b"[" * 100_000, b'[{"":' * 50_000, b"\xff\xfe[\x00]\x00", b"[\x00]\x00",
    b"\xfe\xff\x00[\x00]", b"\x00[\x00]", b"\xff\xfe\x00\x00[\x00\x00\x00]\x00\x00\x00", b"\x1f\x8b\x08\x00",
    b"// comment\n{}", b"/* comment */ {}", b"[undefined]", b"{}\x1a", b"\x0b{}", b"\xc2\xa0{}", b"{}\xc2\x85",
]  # fmt: skip
PARSER_DEPENDENT = [
    b"[123.456e-789]", b"[0.4e" + b"0" * 200 + b"1]", b"[-1e+9999]", b"[1.5e+9999]", b"[-123123e100000]",
    b"[123123e100000]", b"[123e-10000000]", b"[1e999999999999999999999]", b"[1e-999999999999999999999]",
    b"[-123123123123123123123123123123]", b"[100000000000000000000]", b"[" + b"9" * 5000 + b"]",
    b"[0." + b"1" * 5000 + b"]", b'{"\\uDFAA":0}', b'["\\uDADA"]', b'["\\uD888\\u1234"]', b'["\xd8\x00"]',
    b'["\xe0\xff"]', b'["\xff"]', b'["\\uD800\\n"]', b'["\\uDd1ea"]', b'["\\uD800\\uD800"]', b'["\\ud800"]',
    b'["\\ud800abc"]', b'["\xe9"]', b'["\\uDd1e\\uD834"]', b'["\\uDFAA"]', b'["\xfc\x83\xbf\xbf\xbf\xbf"]',
    b'["\xf4\xbf\xbf\xbf"]', b'["\x81"]', b'["\xc0\xaf"]', b'["\xfc\x80\x80\x80\x80\x80"]', b'["\xe0\x80\xaf"]',
    b'["\xed\xa0\x80"]', b"[" * 500 + b"]" * 500, b'{"a":' * 2000 + b"1" + b"}" * 2000, b'["\\u0000"]',
    b'{"\\u0000":1}', b'{"a":1,"a":2}', b'{"a":1,"a":1}',
]  # fmt: skip


@pytest.mark.parametrize("text", JSON, ids=repr)
async def test_valid_json_that_is_not_an_order_fails_validation(gateway: Gateway, text: bytes) -> None:
    response = await gateway.call("POST", "/orders", text)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "VALIDATION_ERROR"), response.text


@pytest.mark.parametrize("text", INVALID_JSON, ids=lambda text: repr(text[:40]))
async def test_invalid_json_is_rejected(gateway: Gateway, text: bytes) -> None:
    response = await gateway.call("POST", "/orders", text)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "BAD_REQUEST"), response.text


@pytest.mark.parametrize("text", PARSER_DEPENDENT, ids=lambda text: repr(text[:40]))
async def test_json_that_parsers_interpret_differently_is_rejected(gateway: Gateway, text: bytes) -> None:
    response = await gateway.call("POST", "/orders", text)
    assert response.status_code in (400, 422), response.text


async def test_an_empty_body_counts_as_missing(gateway: Gateway) -> None:
    response = await gateway.call("POST", "/orders", b"")
    assert response.json()["error"]["details"]["errors"] == [{"field": "body", "issue": "Field required"}]
