"""Reading requests: headers, query, body, fields."""
