"""`python -m invoicing ROLE`, and what operators need; see `python -m invoicing --help`."""

from common.running import command_line

from invoicing.app import SERVICE

command_line.main(SERVICE)
