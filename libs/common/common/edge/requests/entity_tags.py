"""`If-None-Match` (RFC 9110, 13.1.2): whether a client already has the current version."""

import re

from starlette.types import Scope

from common.edge.requests.headers import header_values

_TAG = rb'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")'
_LIST = re.compile(rb"[ \t,]*%b(?:[ \t]*,[ \t,]*%b)*[ \t,]*" % (_TAG, _TAG))
_EACH = re.compile(_TAG)


def client_has(scope: Scope, entity_tag: str) -> bool:
    """Whether `If-None-Match` contains the tag, which includes its quotes, or is `*`.

    Tags are compared weakly: `W/` makes no difference. A malformed value is ignored.
    """
    tags = b", ".join(header_values(scope, b"if-none-match"))
    if tags == b"*":
        return True
    return _LIST.fullmatch(tags) is not None and entity_tag.encode() in _EACH.findall(tags)
