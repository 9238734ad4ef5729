"""The jobs of invoicing: the document, and the e-mail that carries it."""
