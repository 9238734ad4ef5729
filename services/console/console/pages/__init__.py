"""The pages: one module per page with its functions, and one table of all of them."""
