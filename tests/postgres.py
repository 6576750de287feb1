"""Which PostgreSQL server the second run of the suite uses: `python -m tests.postgres` prints its URL."""

import os
import sys

import psycopg

LOCAL = "postgres://postgres@127.0.0.1:5432/postgres"


def find() -> tuple[str | None, str]:
    """Return (URL, "") of DATABASE_URL_POSTGRES or of a local server that lets us in, else (None, reason)."""
    url = os.environ.get("DATABASE_URL_POSTGRES", LOCAL)
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.Error as error:
        return None, f"no PostgreSQL at {url} ({str(error).splitlines()[0]}); set DATABASE_URL_POSTGRES"
    return url, ""


if __name__ == "__main__":
    found, reason = find()
    if found is None:
        print(f"PostgreSQL: skipped, {reason}", file=sys.stderr)
        sys.exit(1)
    print(found)
