"""Checks the bundle of a decision without the site: `python verify_bundle.py D-12.zip [--anchor NUMBER:HASH]`.

Python 3.11's standard library alone. Says "verified" and ends with 0, or names every problem and ends with 1.

What it proves: no file of the bundle was changed since it was made; each signature covers the very document that is in
the bundle, and states what the audit log recorded when it was given; the audit entries give their hashes, and those
that follow one another join; status, dates and digest of the decision are those of its entries; and the Markdown says
what the decision covers and lists these signatures. Where the sums were written anew too, it cannot tell words added to
the Markdown, who exported it, nor whether a role was taken away since. What it cannot prove alone: that the whole
bundle was not made up. For that, compare a hash with what the site says (`manage.py verify_audit`), or give --anchor
with a head of the audit log kept elsewhere.
"""

import argparse
import hashlib
import json
import sys
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

MAX_BYTES = 200_000_000
JSON_FILES = ("decision.json", "signatures.json", "audit.json")
SUBJECT = "decisions.decision"
#: What an audit entry makes of the decision's status.
STATUS_AFTER = {
    "drafted": "draft",
    "proposed": "proposed",
    "withdrew": "draft",
    "reopened": "draft",
    "accepted": "accepted",
    "rejected": "rejected",
    "deprecated": "deprecated",
    "superseded": "superseded",
}
#: Entries that change what is signed and need not state the digest of it.
UNSTATED = {"edited", "answered", "added evidence", "removed evidence", "moved to version"}
#: An entry is written in the transaction of what it records, a moment later.
SAME_MOMENT = timedelta(minutes=1)
#: What a line of the Markdown says of a signature that counts no more.
STATE_WORDS = {"current": "", "lapsed": "COUNTS NO MORE", "void": "VOID"}


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
    except (OSError, zipfile.BadZipFile, RuntimeError, EOFError) as error:  # encrypted, or packed in an unknown way
        raise ValueError(str(error)) from error


def problems_of(files: dict[str, bytes], anchor: str | None = None) -> Iterator[str]:
    """Yield one sentence for each thing that is not as it was written."""
    yield from check_files(files)
    try:
        decision, signatures, audit = (read_json(files[name]) for name in JSON_FILES)
        entries = audit["entries"]
        yield from check_entries(entries, audit["head"], anchor)
        yield from check_decision(decision, [(entry, read_json(entry["detail"])) for entry in entries])
        yield from check_signatures(signatures, decision, entries)
        yield from check_markdown(files["decision.md"].decode(), decision, signatures)
    except KeyError as missing:
        yield f"{missing} is missing."
    except (TypeError, AttributeError, ValueError, IndexError, RecursionError) as error:
        yield f"A file of the bundle cannot be read: {error}."


def read_json(text: str | bytes) -> Any:
    """Return a JSON value. Raises ValueError where a name stands twice, of which each reader may take another."""
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a name stands twice among {sorted(found)}")
    return found


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


def check_entries(entries: list[dict[str, Any]], log_head: str, anchor: str | None) -> Iterator[str]:
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
    newest, _, newest_hash = log_head.partition(":")
    if last and (int(newest) < last["number"] or (int(newest) == last["number"] and newest_hash != last["hash"])):
        yield "The head of the audit log is not at or after the newest entry of the bundle."
    if anchor:
        number, _, digest = anchor.partition(":")
        hashes = {newest: newest_hash, **{str(entry["number"]): entry["hash"] for entry in entries}}
        if number not in hashes:
            yield f"Entry {number} of the anchor is not among the entries of this decision."
        elif hashes[number] != digest:
            yield f"Entry {number} has another hash than the anchor: the log was rewritten."


def check_decision(decision: dict[str, Any], log: list[tuple[dict[str, Any], dict[str, Any]]]) -> Iterator[str]:
    """`log`: the audit entries, each with its detail read."""
    covered = decision["covered"]
    if sha256_of(covered) != decision["digest"]:
        yield "decision.json was altered: the decision does not give its digest."
    if covered["decision"]["number"] != decision["number"]:
        yield "decision.json was altered: it holds the document of another decision."
    own = [(entry, detail) for entry, detail in log if entry["subject"] == SUBJECT]
    moves = [(entry, detail) for entry, detail in own if entry["action"] in STATUS_AFTER]
    said, found = decision["status"], STATUS_AFTER[moves[-1][0]["action"]]
    if said != found:
        yield f"decision.json says that the decision is {said}, and its audit entries that it is {found}."
    by = moves[-1][1].get("by") if found == "superseded" else None
    if decision["superseded_by"] != by:
        yield f"decision.json says that it is superseded by {decision['superseded_by']}, its audit entries by {by}."
    stated = [detail.get("digest") for entry, detail in log if entry["action"] in {"proposed", *UNSTATED}]
    if stated and stated[-1] not in (None, decision["digest"]):
        yield "The decision is not what its newest audit entry recorded."
    yield from _check_moments(decision, own)


def _check_moments(decision: dict[str, Any], own: list[tuple[dict[str, Any], dict[str, Any]]]) -> Iterator[str]:
    fixed = [(entry, detail) for entry, detail in own if entry["action"] == "locked criterion"]
    decided = [entry for entry, _ in own if entry["action"] in ("proposed", "accepted", "rejected", "reopened")][-1:]
    decided = [entry for entry in decided if entry["action"] in ("accepted", "rejected")]
    for name, entry in (
        ("decided_at", decided[0] if decided else None),
        ("criterion_locked_at", fixed[0][0] if fixed else None),
    ):
        if not _same_moment(decision[name], entry["at"] if entry else None):
            yield f"decision.json was altered: {name} is not what the audit log recorded."
    promised = (decision["covered"]["criterion"] or {}).get("test_set", "")
    if decision["test_set"] != (fixed[0][1]["test_set"] if fixed else promised):
        yield "decision.json was altered: test_set is not what was fixed."


def _same_moment(said: str | None, recorded: str | None) -> bool:
    if said is None or recorded is None:
        return said == recorded
    return abs(datetime.fromisoformat(said) - datetime.fromisoformat(recorded)) <= SAME_MOMENT


def check_signatures(
    signatures: list[dict[str, Any]], decision: dict[str, Any], entries: list[dict[str, Any]]
) -> Iterator[str]:
    details = [read_json(entry["detail"]) for entry in entries if entry["action"] == "signed"]
    recorded = {detail["signature"]: detail["signature_sha256"] for detail in details if "signature_sha256" in detail}
    principals = {detail["signature"]: detail.get("on_behalf_of") for detail in details if "signature" in detail}
    for signature in signatures:
        statement, state = signature["statement"], signature["state"]
        named = f"The signature of {statement['printed_name']} ({statement['signed_at']})"
        if sha256_of(signature["covered"]) != statement["digest"]:
            yield f"{named} was altered: the document that it covers does not give its digest."
        if (expected := recorded.pop(statement["id"], None)) is None:
            yield f"{named} has no audit entry."
        elif expected != sha256_of(statement):
            yield f"{named} was altered: it is not what the audit entry recorded."
        if state not in STATE_WORDS or (statement["digest"] == decision["digest"]) == (state == "void"):
            yield f"{named} is said to be {state}, which its digest denies."
        if statement["decision"] != decision["number"]:
            yield f"{named} is under D-{statement['decision']}, another decision."
        if signature["on_behalf_of"] != (principal := principals.get(statement["id"])):
            yield f"{named} is said to be given for {signature['on_behalf_of']}, and its audit entry says {principal}."
    for missing in recorded:
        yield f"Signature {missing} was given, as the audit log says, and is missing."


def check_markdown(text: str, decision: dict[str, Any], signatures: list[dict[str, Any]]) -> Iterator[str]:
    """Look for all that the Markdown has to say. It is for people, so what else stands in it cannot be judged."""
    covered, said = decision["covered"], f"\n{_bare(text)}\n"
    record, _, listed = text.rpartition("### Signatures\n")
    if f"---\nstatus: {decision['status']}\n" not in record or decision["digest"] not in record:
        yield "decision.md was altered: it states another status or digest than decision.json."
    texts = [covered["decision"].get(name, "") for name in ("title", "context", "consequences", "kill_criterion")]
    texts += [option[name] for option in covered["decision"]["options"] for name in ("title", "pros", "cons")]
    texts += [row["report_sha256"] for row in covered["decision"].get("measured", ())]
    if criterion := covered["criterion"]:
        whole, _, places = criterion["threshold"].partition(".")
        texts.append(f"≥ {whole}.{places.rstrip('0'):0<2}.")
    if missing := next((one for one in texts if _bare(one) not in said), None):
        yield f"decision.md was altered: it does not say “{' '.join(missing.split())[:60]}”."
    lines = [_bare(line) for line in listed.splitlines() if line.startswith("* ")]
    for signature in signatures:
        statement, state = signature["statement"], signature["state"]
        who = _bare(f"* {statement['printed_name']}, {statement['role'].replace('_', ' ')}")
        moment = f"{statement['signed_at'][:19].replace('T', ' ')} UTC"
        digest = f"(sha256 {statement['digest']}){STATE_WORDS.get(state, '')}"
        wanted = [_bare(one) for one in (moment, statement["meaning"], statement["reason"], digest)]
        ends = digest if state == "current" else ""
        if not any(
            line.casefold().startswith(who.casefold())
            and line.endswith(_bare(ends))
            and all(one in line for one in wanted)
            for line in lines
        ):
            yield f"decision.md was altered: it does not state the signature of {statement['printed_name']} ({moment})."
    if len(lines) != len(signatures):
        yield f"decision.md was altered: it lists {len(lines)} signatures, and there are {len(signatures)}."


def _bare(text: str) -> str:
    """Return a text without what Markdown adds or joins: blanks, line ends, backslashes, and &lt; for <."""
    return "".join(text.replace("\\", "").replace("&lt;", "<").split())


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
