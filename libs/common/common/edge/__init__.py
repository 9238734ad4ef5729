"""The HTTP interface of a service, on FastAPI: admission, routes, requests, commands, error responses, pages."""
