"""The last lines of a log, which are printed when a process does not start."""

from pathlib import Path

from local_stack.logs import printable
from local_stack.process import tail


def test_the_output_of_logs_cannot_control_a_terminal(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_bytes(b"first\nGET /\x1b[2J\x9b1m \xc2\x9b1m\x07\n\tlast \xe2\x80\xae\xff\n")
    output = tail(log, lines=2)
    assert output.startswith("GET /\\x1b[2J")
    assert output.replace("\n", "").replace("\t", "").isprintable()
    assert printable("Zoë 山田\n") == "Zoë 山田\n"
