"""The vulnerability audit of Kafka's jars, with a server that responds as OSV does."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from support.project.ci_scripts import ci_script

audit = ci_script("audit_dependencies")
LOCK = "# comment\norg.example:kiln:1.0 abc\norg.example:glaze:2.1 def\n"


@contextmanager
def advisories(names_by_jar: dict[str, list[str]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
            results: list[dict[str, Any]] = []
            for each in queries:
                names = names_by_jar.get(f"{each['package']['name']}:{each['version']}", [])
                results.append({"vulns": [{"id": name} for name in names]} if names else {})
            body = json.dumps({"results": results}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/querybatch"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def test_jars_without_an_advisory_pass_the_audit() -> None:
    with advisories({}) as url:
        result = audit.audit_jars(LOCK, url)
    assert (result.checked, result.vulnerabilities, result.not_checked) == (2, (), None)


def test_a_jar_with_an_advisory_fails_the_audit() -> None:
    with advisories({"org.example:glaze:2.1": ["GHSA-1", "GHSA-2"]}) as url:
        result = audit.audit_jars(LOCK, url)
    assert result.vulnerabilities == ("org.example:glaze 2.1: GHSA-1", "org.example:glaze 2.1: GHSA-2")


def test_an_unavailable_source_fails_the_audit() -> None:
    result = audit.audit_jars(LOCK, "http://127.0.0.1:9/v1/querybatch")
    assert result.checked == 0
    assert "did not answer" in result.not_checked


def test_every_jar_of_the_lock_is_audited() -> None:
    lock = audit.JARS.read_text()
    with advisories({}) as url:
        assert audit.audit_jars(lock, url).checked == sum(not line.startswith("#") for line in lock.splitlines())
