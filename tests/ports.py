"""Ports for the servers that tests start."""

import socket


def reserve_port() -> socket.socket:
    """Return a socket that holds a free port of 127.0.0.1 and never listens; close it when its server is done.

    A port that is chosen and let go may be another's before our server has it: another test process asks for any port,
    or a connection goes out from it. The system gives a held port to neither, while a server that sets SO_REUSEADDR, as
    gunicorn and `http.server` do, may listen on it. Until one does, connections are refused.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def port_of(held: socket.socket) -> int:
    port: int = held.getsockname()[1]
    return port
