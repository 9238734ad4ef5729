"""`python -m returns ROLE`, and what operators need; see `python -m returns --help`."""

from common.running import command_line

from returns.app import SERVICE

command_line.main(SERVICE)
