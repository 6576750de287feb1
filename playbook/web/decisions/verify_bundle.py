"""Checks the bundle of a decision without the site: `python verify_bundle.py D-12.zip [--anchor NUMBER:HASH]`.

Python 3.11's standard library alone. Says "verified" and ends with 0, or names every problem and ends with 1.

What it proves: no file of the bundle was changed since it was made; each signature covers the very document that is in
the bundle, and states what the audit log recorded when it was given; the audit entries give their hashes, and those
that follow one another join. What it cannot prove alone: that the whole bundle was not made up. For that, compare a
hash with what the site says (`manage.py verify_audit`), or give --anchor with a head of the audit log kept elsewhere.
"""

import argparse
import hashlib
import json
import sys
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

MAX_BYTES = 200_000_000
JSON_FILES = ("decision.json", "signatures.json", "audit.json")


def canonical(value: Any) -> str:
    """Return RFC 8785 JSON."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float):
        return number_text(value)
    return json.dumps(value, ensure_ascii=False)


def number_text(value: float) -> str:
    """Return a number as JavaScript writes it, which RFC 8785 asks for: 0.95, 1, 0.00001, 1e-7."""
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if 1e-6 <= abs(value) < 1e21:
        return format(Decimal(repr(value)), "f")
    mantissa, exponent = repr(value).split("e")
    return f"{mantissa}e{int(exponent):+d}"


def sha256_of(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def read_bundle(path: Path) -> dict[str, bytes]:
    """Return the files of a bundle by name. Raises ValueError when it is none."""
    try:
        with zipfile.ZipFile(path) as bundle:
            names = bundle.namelist()
            if len(set(names)) != len(names):
                raise ValueError("it holds two files of the same name")
            if sum(info.file_size for info in bundle.infolist()) > MAX_BYTES:
                raise ValueError(f"it unpacks to more than {MAX_BYTES:,} bytes")
            return {name: bundle.read(name) for name in names}
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(str(error)) from error


def problems_of(files: dict[str, bytes], anchor: str | None = None) -> Iterator[str]:
    """Yield one sentence for each thing that is not as it was written."""
    yield from check_files(files)
    try:
        decision, signatures, audit = (json.loads(files[name]) for name in JSON_FILES)
        yield from check_entries(audit["entries"], anchor)
        yield from check_decision(decision)
        yield from check_signatures(signatures, decision, audit["entries"])
    except KeyError as missing:
        yield f"{missing} is missing."
    except (TypeError, AttributeError, ValueError) as error:
        yield f"A file of the bundle cannot be read: {error}."


def check_files(files: dict[str, bytes]) -> Iterator[str]:
    listed = {}
    for line in files.get("SHA256SUMS", b"").decode(errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    for name in sorted(files.keys() - listed.keys() - {"SHA256SUMS"}):
        yield f"{name} is not listed in SHA256SUMS."
    for name, digest in listed.items():
        if name not in files:
            yield f"{name} is listed in SHA256SUMS and missing."
        elif hashlib.sha256(files[name]).hexdigest() != digest:
            yield f"{name} was changed: its SHA-256 is not the listed one."


def check_entries(entries: list[dict[str, Any]], anchor: str | None) -> Iterator[str]:
    last: dict[str, Any] | None = None
    for entry in entries:
        named = f"Audit entry {entry['number']} ({entry['action']})"
        fields = ("action", "actor", "at", "number", "previous", "subject", "subject_id")
        content = {name: entry[name] for name in fields}
        # The detail stands as the canonical text that was hashed; as a value it could be written in other ways.
        head, tail = canonical({**content, "detail": "\x00"}).split(canonical("\x00"))
        if hashlib.sha256(f"{head}{entry['detail']}{tail}".encode()).hexdigest() != entry["hash"]:
            yield f"{named} was altered: its content does not give its hash."
        if last and entry["number"] <= last["number"]:
            yield f"{named} stands out of order, after entry {last['number']}."
        if last and entry["number"] == last["number"] + 1 and entry["previous"] != last["hash"]:
            yield f"{named} does not follow entry {last['number']}: one of them was replaced."
        last = entry
    if anchor:
        number, _, digest = anchor.partition(":")
        found = [entry for entry in entries if str(entry["number"]) == number]
        if not found:
            yield f"Entry {number} of the anchor is not among the entries of this decision."
        elif found[0]["hash"] != digest:
            yield f"Entry {number} has another hash than the anchor: the log was rewritten."


def check_decision(decision: dict[str, Any]) -> Iterator[str]:
    if sha256_of(decision["covered"]) != decision["digest"]:
        yield "decision.json was altered: the decision does not give its digest."


def check_signatures(
    signatures: list[dict[str, Any]], decision: dict[str, Any], entries: list[dict[str, Any]]
) -> Iterator[str]:
    details = [json.loads(entry["detail"]) for entry in entries if entry["action"] == "signed"]
    recorded = {detail["signature"]: detail["signature_sha256"] for detail in details if "signature_sha256" in detail}
    for signature in signatures:
        statement, state = signature["statement"], signature["state"]
        named = f"The signature of {statement['printed_name']} ({statement['signed_at']})"
        if sha256_of(signature["covered"]) != statement["digest"]:
            yield f"{named} was altered: the document that it covers does not give its digest."
        if (expected := recorded.pop(statement["id"], None)) is None:
            yield f"{named} has no audit entry."
        elif expected != sha256_of(statement):
            yield f"{named} was altered: it is not what the audit entry recorded."
        if (statement["digest"] == decision["digest"]) == (state == "void"):
            yield f"{named} is said to be {state}, which its digest denies."
    for missing in recorded:
        yield f"Signature {missing} was given, as the audit log says, and is missing."


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--anchor", metavar="NUMBER:HASH", help="an audit entry whose hash was kept elsewhere")
    given = parser.parse_args()
    try:
        files = read_bundle(given.bundle)
    except ValueError as error:
        print(f"{given.bundle} is no bundle: {error}")
        return 1
    found = list(problems_of(files, given.anchor))
    print("\n".join(found) or f"{given.bundle}: verified")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
