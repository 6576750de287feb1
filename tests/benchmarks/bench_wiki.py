"""Article pages of a signed-in reader under load, beside a bare Django view and django-wiki on the same server.

`python -m tests.benchmarks wiki` prints the rows. Everything is served by gunicorn with the workers and threads that
the README advises; generated articles, 200 of them asked for in turn at both sizes of the library, since what people
read at once is a small part of a large one. django-wiki is installed into a virtual environment that is thrown away.
"""

import contextlib
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.benchmarks.content_folder import AREAS, write_content
from tests.benchmarks.load import Load, measure_load, warm_up
from tests.benchmarks.table import Row

ROOT = Path(__file__).parents[2]
SIZES = (200, 10_000)
ASKED = 200
SERVER = ["--workers", "2", "--threads", "8", "--log-level", "warning"]
START_SECONDS = 120


def measure() -> tuple[list[Row], dict[str, object]]:
    """Return the rows; the details hold every round."""
    rows, loads = list[Row](), dict[str, Load]()
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in SIZES:
            content = folder / f"content-{size}"
            write_content(content, size)
            loads[f"playbook-{size}"], page_bytes = _playbook(folder / f"data-{size}", content, size)
        loads["bare"] = _bare(page_bytes)
        loads["django-wiki"] = _django_wiki(folder / "peer", folder / f"content-{SIZES[0]}" / "articles")
    for size in SIZES:
        load = loads[f"playbook-{size}"]
        rows += [
            Row(f"article page, {size:,} articles, c=4", load.requests_per_second, "requests/s", at_least=500),
            Row(f"article page, {size:,} articles, p99", load.p99_ms, "ms", at_most=15),
        ]
    own, bare, peer = (loads[key].requests_per_second for key in (f"playbook-{SIZES[0]}", "bare", "django-wiki"))
    rows += [
        Row("bare Django view of as many bytes, c=4", bare, "requests/s"),
        Row("cost of an article page against the bare view", bare / own, "times", at_most=3),
        Row("django-wiki, the same text, c=4", peer, "requests/s"),
        Row("django-wiki, the same text, p99", loads["django-wiki"].p99_ms, "ms"),
        Row("article page against django-wiki", own / peer, "times", at_least=8),
    ]
    details: dict[str, object] = {name: [list(pair) for pair in load.rounds] for name, load in loads.items()}
    # A figure from a machine that does other work says little: the load before the first round is kept beside it.
    return rows, {
        "rounds (requests/s, p99 ms)": details,
        "cores": os.cpu_count(),
        "page_bytes": page_bytes,
        "load_average_before": load_before,
    }


def _playbook(data: Path, content: Path, size: int) -> tuple[Load, int]:
    password = secrets.token_urlsafe(12)
    environment = {
        **os.environ,
        "PLAYBOOK_DATA_DIR": str(data),
        "PLAYBOOK_CONTENT_DIR": str(content),
        "DATABASE_URL": f"sqlite:///{data / 'playbook.sqlite3'}",
        "DJANGO_SUPERUSER_PASSWORD": password,
    }
    _manage(environment, "migrate", "-v0")
    _manage(environment, "collectstatic", "--noinput", "-v0")
    _manage(environment, "createsuperuser", "--noinput", "--username=bench", "--name=Bench")
    paths = [f"/library/{AREAS[number % len(AREAS)]}/article-{number}/" for number in range(0, size, size // ASKED)]
    with served("playbook.web.wsgi", environment, [sys.executable, "-m", "gunicorn"], ROOT) as port:
        cookie = _log_in(port, password)
        page = httpx.get(f"http://127.0.0.1:{port}{paths[0]}", headers={"Cookie": cookie}, timeout=60)
        if "Why it matters" not in page.text:
            raise RuntimeError(f"{paths[0]} shows no article; status {page.status_code}")
        warm_up(port, paths, cookie=cookie)
        return measure_load(port, paths, cookie=cookie), len(page.content)


def _bare(page_bytes: int) -> Load:
    environment = {**os.environ, "BENCH_BODY_BYTES": str(page_bytes)}
    with served("tests.benchmarks.bare_site", environment, [sys.executable, "-m", "gunicorn"], ROOT) as port:
        warm_up(port, ["/"])
        return measure_load(port, ["/"])


def _django_wiki(folder: Path, articles: Path) -> Load:
    """Install, fill and measure django-wiki. Raises CalledProcessError where it cannot be installed."""
    folder.mkdir()
    python = folder / "venv/bin/python"
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    constraints = ROOT / "constraints.txt"  # the same Django and gunicorn as ours; its own Markdown
    pinned = "\n".join(re.findall(r"(?im)^(?:django|gunicorn)==.*$", constraints.read_text()))
    (folder / "constraints.txt").write_text(pinned)
    install: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "-q",
        "-c",
        folder / "constraints.txt",
        "wiki==0.13.0",
        "gunicorn",
    ]
    subprocess.run(install, check=True, stderr=subprocess.DEVNULL)
    environment = {**os.environ, "BENCH_DIR": str(folder), "PYTHONPATH": str(Path(__file__).parent)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    script = Path(__file__).with_name("peer_django_wiki.py")
    subprocess.run([python, script, articles], check=True, env=environment)
    cookie = (folder / "cookie").read_text()
    paths = [f"/{file.stem}/" for file in sorted(articles.glob("*/*.md"))]
    with served("peer_django_wiki", environment, [str(python), "-m", "gunicorn"], folder) as port:
        warm_up(port, paths, cookie=cookie)
        return measure_load(port, paths, cookie=cookie)


def _manage(environment: dict[str, str], *arguments: str) -> None:
    Path(environment["PLAYBOOK_DATA_DIR"]).mkdir(exist_ok=True)
    subprocess.run([sys.executable, ROOT / "manage.py", *arguments], check=True, env=environment)


@contextlib.contextmanager
def served(module: str, environment: dict[str, str], gunicorn: list[str], folder: Path) -> Iterator[int]:
    """Run `module:application` until the block ends; yields its port once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [*gunicorn, f"{module}:application", "--bind", f"127.0.0.1:{port}", *SERVER]
    server = subprocess.Popen(command, env=environment, cwd=folder)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if time.monotonic() > deadline or server.poll() is not None:
                raise RuntimeError(f"gunicorn did not start {module}; its log is above")
            time.sleep(0.2)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=60)


def _log_in(port: int, password: str) -> str:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        form = client.get("/account/login/").text
        token = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)[0]
        client.post("/account/login/", data={"username": "bench", "password": password, "csrfmiddlewaretoken": token})
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies.jar)
