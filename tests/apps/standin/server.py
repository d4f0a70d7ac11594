#!/usr/bin/python3
"""Stands in for the ASP.NET Core app where no .NET SDK is installed: binds what ASPNETCORE_URLS says and answers
/, /healthz and /Environment. It knows plain http://*:PORT addresses only."""

import http.server
import json
import os
import socket
import sys
from urllib.parse import urlsplit


def urls() -> list[str]:
    return [url.strip() for url in os.environ.get("ASPNETCORE_URLS", "http://+:5000").split(";") if url.strip()]


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        # As Kestrel binds a wildcard: one dual-mode socket.
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        pages = {
            "/": "Hello from the stand-in server\n",
            "/healthz": "Healthy",
            "/Environment": json.dumps({"userId": os.geteuid(), "processId": os.getpid(), "addresses": urls(),
                                        "variables": dict(os.environ)}, indent=2) + "\n",
        }
        page = pages.get(self.path)
        self.send_response(200 if page else 404)
        self.end_headers()
        self.wfile.write((page or "").encode())

    def log_message(self, format: str, *args: object) -> None:
        """Silent: what the demo shows is the start."""


def main() -> int:
    port = urlsplit(urls()[0].replace("+", "localhost").replace("*", "localhost")).port or 80
    try:
        server = Server(("::", port), Handler)
    except OSError as error:
        print(f"stand-in server: {error.strerror} ({error.errno})", file=sys.stderr)
        return 1
    print(f"Now listening on: http://[::]:{port}", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
