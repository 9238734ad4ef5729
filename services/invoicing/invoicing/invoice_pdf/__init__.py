"""The invoice as a PDF. Only `renderer` may be imported by a role: the rest loads reportlab, in a process apart."""
