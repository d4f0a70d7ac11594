"""The shapes of tests/apps/bindapp, and what answers where."""

from __future__ import annotations

import socket

from portshim_test import NetworkNamespace

HTTP, TCP, UDP = "http", "tcp", "udp"
# Shape: how it is asked, on which addresses it answers.
SHAPES = {
    "ListenAnyIP": (HTTP, ("127.0.0.1", "::1")),
    "Run": (HTTP, ("127.0.0.1", "::1")),
    "ListenLocalhost": (HTTP, ("127.0.0.1", "::1")),
    "ListenLoopback": (HTTP, ("127.0.0.1",)),
    "ListenAny": (HTTP, ("127.0.0.1",)),
    "TcpListener": (TCP, ("127.0.0.1",)),
    "TcpListenerDual": (TCP, ("127.0.0.1", "::1")),
    "Socket": (TCP, ("127.0.0.1",)),
    "SocketV6": (TCP, ("::1",)),
    "SocketDual": (TCP, ("127.0.0.1", "::1")),
    "SocketMapped": (TCP, ("127.0.0.1",)),
    "UdpClient": (UDP, ("127.0.0.1",)),
    "UdpClientV6": (UDP, ("::1",)),
    "Process": (TCP, ("127.0.0.1",)),
}


def needs_ipv6(shape: str) -> bool:
    return all(":" in address for address in SHAPES[shape][1])


def has_ipv6(namespace: NetworkNamespace) -> bool:
    """Docker's containers have none unless asked for."""
    with namespace.entered(), socket.socket(socket.AF_INET6) as one:
        try:
            one.bind(("::1", 0))
            return True
        except OSError:
            return False


def answers(namespace: NetworkNamespace, shape: str, port: int) -> bool:
    """Does it answer there, on each of its addresses that there are?"""
    how, addresses = SHAPES[shape]
    ipv6 = has_ipv6(namespace)
    with namespace.entered():
        return all(_answers(how, address, port) for address in addresses if ipv6 or ":" not in address)


def _answers(how: str, address: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if how == UDP else socket.SOCK_STREAM) as client:
        client.settimeout(30)
        try:
            client.connect((address, port))
            if how == UDP:
                client.send(b"echo")
            if how == HTTP:
                client.send(b"GET / HTTP/1.0\r\n\r\n")
            return client.recv(1000).startswith({HTTP: b"HTTP/1.1 200", TCP: b"220 ", UDP: b"echo"}[how])
        except ConnectionError:
            return False
