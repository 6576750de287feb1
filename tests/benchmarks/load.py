"""Load on a site: four keep-alive connections, each asking for the next page as soon as it has the last.

Plain sockets, because whatever the generator costs is taken from the two cores that the site shares with it.
"""

import socket
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

CONNECTIONS = 4
ROUND_SECONDS = 4.0
ROUNDS = 7


@dataclass(frozen=True)
class Load:
    """Medians over the rounds. Each round opens new connections: the kernel may give them all to one worker process,
    which the median leaves out."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    requests: int
    rounds: tuple[tuple[float, float], ...]


def measure_load(port: int, paths: Sequence[str], *, cookie: str = "") -> Load:
    """Return what the site on `port` serves of `paths` in turn. Raises RuntimeError for any answer but 200."""
    rounds = [_round(port, paths, cookie) for _ in range(ROUNDS)]
    return Load(
        requests_per_second=statistics.median(len(times) / seconds for times, seconds in rounds),
        p50_ms=1e3 * statistics.median(_percentile(times, 0.50) for times, _ in rounds),
        p99_ms=1e3 * statistics.median(_percentile(times, 0.99) for times, _ in rounds),
        requests=sum(len(times) for times, _ in rounds),
        rounds=tuple(
            (round(len(times) / seconds, 1), round(1e3 * _percentile(times, 0.99), 2)) for times, seconds in rounds
        ),
    )


def warm_up(port: int, paths: Sequence[str], *, cookie: str = "", passes: int = 6) -> None:
    """Ask for every path often enough, on new connections, that each worker process has seen it."""
    for _ in range(passes):
        for start in range(0, len(paths), 20):
            connection = _Connection(port, cookie)
            for path in paths[start : start + 20]:
                connection.get(path)
            connection.close()


def _round(port: int, paths: Sequence[str], cookie: str) -> tuple[list[float], float]:
    times: list[list[float]] = [[] for _ in range(CONNECTIONS)]
    errors: list[BaseException] = []
    stop_at = time.perf_counter() + ROUND_SECONDS

    def ask(number: int) -> None:
        try:
            connection = _Connection(port, cookie)
            place = number * len(paths) // CONNECTIONS
            while (started := time.perf_counter()) < stop_at:
                connection.get(paths[place % len(paths)])
                times[number].append(time.perf_counter() - started)
                place += 1
            connection.close()
        except (OSError, RuntimeError) as error:
            errors.append(error)

    began = time.perf_counter()
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise RuntimeError(f"the site failed under load: {errors[0]}") from errors[0]
    return [one for each in times for one in each], time.perf_counter() - began


def _percentile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(len(times) * share))]


class _Connection:
    """One keep-alive connection; opened again when the server closes it, as gunicorn does after a while."""

    def __init__(self, port: int, cookie: str) -> None:
        self._port = port
        self._head = f"Host: 127.0.0.1:{port}\r\nAccept: text/html\r\n" + (f"Cookie: {cookie}\r\n" if cookie else "")
        self._socket = self._open()

    def _open(self) -> socket.socket:
        opened = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opened

    def get(self, path: str) -> bytes:
        self._socket.sendall(f"GET {path} HTTP/1.1\r\n{self._head}\r\n".encode())
        head, _, body = self._until(b"\r\n\r\n").partition(b"\r\n\r\n")
        status = head.split(b" ", 2)[1]
        if status != b"200":
            raise RuntimeError(f"{path} answered {status.decode()}")
        lines = head.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        pieces, received = [body], len(body)
        while received < length:
            pieces.append(self._receive())
            received += len(pieces[-1])
        if b"connection: close" in lines:
            self._socket.close()
            self._socket = self._open()
        return b"".join(pieces)

    def _until(self, mark: bytes) -> bytes:
        found = b""
        while mark not in found:
            found += self._receive()
        return found

    def _receive(self) -> bytes:
        piece = self._socket.recv(262_144)
        if not piece:
            raise RuntimeError("the server closed the connection within an answer")
        return piece

    def close(self) -> None:
        self._socket.close()
