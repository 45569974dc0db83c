"""What travels: a request, and JSON."""

import json
from http import HTTPStatus


class Request:
    """One parsed request."""

    __slots__ = ("method", "path", "headers", "body", "name", "arguments")

    def __init__(self, method, path, headers, body):
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.become(path)

    def become(self, path):
        """Takes name and arguments of a behaviour from a path."""
        parts = path.partition("?")[0].strip("/").split("/")
        self.name = parts[0]
        self.arguments = parts[1:]


def reason(status):
    """The standard's words for a status, for statuses that it knows."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def to_json(value):
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def decode(body):
    """A body as JSON where it is, else as text."""
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
