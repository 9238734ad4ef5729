"""`python -m orders ROLE`, and what operators need; see `python -m orders --help`."""

from common.running import command_line

from orders.app import SERVICE

command_line.main(SERVICE)
