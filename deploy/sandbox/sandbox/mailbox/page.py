"""HTML pages: the list of messages, and one message."""

from collections.abc import Iterable
from html import escape
from typing import Any

STYLE = (
    "body{font:15px system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.4rem;border-bottom:1px solid #ddd}"
    "pre{white-space:pre-wrap}iframe{width:100%;height:30rem;border:1px solid #ddd}small{color:#666}"
)


def render_list(summaries: list[dict[str, Any]], total: int) -> str:
    rows = "".join(
        f"<tr><td><a href='/view/{summary['ID']}'>{escape(summary['Subject'] or '(no subject)')}</a>"
        f"<br><small>{escape(summary['Snippet'][:120])}</small></td>"
        f"<td>{_people(summary['To'])}</td><td>{summary['Attachments'] or ''}</td>"
        f"<td>{summary['Created'][:19]}</td></tr>"
        for summary in summaries
    )
    head = "<tr><th>Subject</th><th>To</th><th>Attachments</th><th>Received (UTC)</th></tr>"
    return _page("Mailbox", f"<p>The newest {len(summaries)} of {total} messages.</p><table>{head}{rows}</table>")


def render_message(document: dict[str, Any]) -> str:
    source = f"/api/v1/message/{document['ID']}"
    sender = _people([document["From"]] if document["From"] else [])
    files = "".join(
        f"<li><a href='{source}/part/{part['PartID']}'>{escape(part['FileName'] or part['PartID'])}</a>"
        f" {escape(part['ContentType'])}, {part['Size']} bytes</li>"
        for part in [*document["Attachments"], *document["Inline"]]
    )
    # An empty sandbox attribute disables the scripts of the message.
    html = f"<iframe sandbox='' srcdoc='{escape(document['HTML'])}'></iframe>" if document["HTML"] else ""
    return _page(
        document["Subject"] or "(no subject)",
        f"<p>From {sender}<br>To {_people(document['To'])}<br>{document['Date']}<br>"
        f"<a href='{source}/raw'>source</a></p>"
        f"<ul>{files}</ul><pre>{escape(document['Text'])}</pre>{html}<p><a href='/'>all messages</a></p>",
    )


def _people(addresses: Iterable[dict[str, str]]) -> str:
    return ", ".join(escape(f"{address['Name']} <{address['Address']}>".strip()) for address in addresses)


def _page(title: str, body: str) -> str:
    head = f"<meta charset='utf-8'><title>{escape(title)}</title><style>{STYLE}</style>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body><h1>{escape(title)}</h1>{body}</body></html>"
