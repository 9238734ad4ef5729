"""The invoice as a PDF. A role imports only `renderer`: the other modules load reportlab, in a child process."""
