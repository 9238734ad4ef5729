"""`python -m refunds ROLE`, and what operators need; see `python -m refunds --help`."""

from common.running import command_line

from refunds.app import SERVICE

command_line.main(SERVICE)
