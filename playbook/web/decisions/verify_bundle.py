"""Checks the bundle of a decision without the site: `python verify_bundle.py D-12.zip [--anchor NUMBER:HASH]`.

Python 3.11's standard library alone. Says "verified" and ends with 0, or names every problem and ends with 1.
What it proves: no file of the bundle was changed since it was made; each signature covers the very document that is in
the bundle, and states what the audit log recorded when it was given; the audit entries give their hashes, and those
that follow one another join; status, dates and digest of the decision are those of its entries; the checklist is the
version that was signed; and the Markdown is, letter by letter, what the JSON files give. When the sums were written
anew too, nothing vouches for what UNSIGNED lists. What it cannot prove alone: that the whole bundle was not made up.
For that, ask the site (`manage.py verify_audit --contains`), or give --anchor with a head of the log kept elsewhere.
"""

import argparse
import hashlib
import json
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any

MAX_BYTES = 200_000_000
JSON_FILES = ("decision.json", "signatures.json", "audit.json", "checklist.json")
SUBJECT = "decisions.decision"
#: What an audit entry makes of the decision's status.
STATUS_AFTER = {"drafted": "draft", "withdrew": "draft", "reopened": "draft"}
STATUS_AFTER |= {action: action for action in ("proposed", "accepted", "rejected", "deprecated", "superseded")}
#: Entries that change what is signed and need not state the digest of it.
UNSTATED = {"edited", "answered", "added evidence", "removed evidence", "moved to version"}
#: An entry is written in the transaction of what it records, a moment later.
SAME_MOMENT = timedelta(minutes=1)
#: What a line of the Markdown says of a signature that counts no more.
STATE_WORDS = {"current": "", "lapsed": " COUNTS NO MORE: the role was taken away afterwards."}
STATE_WORDS |= {"void": " VOID: the decision changed afterwards."}
ARM_NAMES = {"zero_shot": "the zero-shot prompt", "few_shot": "the few-shot prompt", "rag": "RAG", "lora": "LoRA"}
ARM_NAMES |= {"rag_lora": "RAG with LoRA"}
METRIC_NAMES = {"json_valid": "valid JSON", "json_schema": "valid by schema", "field_f1": "field F1", "chrf": "chrF"}
METRIC_NAMES |= {"rouge_l": "ROUGE-L"}
SIGNED = (
    "title, context, options, measured results, criterion, forecast, kill criterion, budget, owner, review date, the "
    "version of the checklist, and the answers with the hashes of their evidence"
)
UNSIGNED = (
    "the full names of use case, owner, decision-maker, the actors in audit.json, and of whom a signature of earlier "
    "days was given for (their short names and numbers are vouched for); what it supersedes; whether a role was taken "
    "away since; when and by whom it was exported; README.txt"
)
#: The fields of the JSON files, but for those under a hash: nothing else may stand beside them.
FIELDS = {
    "decision.json": "number status digest covered names created_at proposed_at decided_at criterion_locked_at "
    "test_set superseded_by supersedes exported_at exported_by",
    "names": "use_case owner decision_maker",
    "signatures.json": "statement on_behalf_of on_behalf_of_name state covered",
    "audit.json": "head entries",
    "entries": "number at actor actor_name action subject subject_id detail previous hash",
}
#: What begins a heading, underlines one, or opens code, at most three blanks from the margin.
BLOCK = re.compile(r"(?m)^( {0,3})(#|-{2,}[ \t]*$|=+[ \t]*$|`{3,}|~{3,})")


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
    """Return a number as JavaScript writes it, which RFC 8785 asks for: 0.95, 1, 0.00001, 1e-7. The fewest digits that
    name it, then zeros: 2.789e20 stands for another whole number than its digits say."""
    if value == 0:
        return "0"
    if 1e-6 <= abs(value) < 1e21:
        text = format(Decimal(repr(value)), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
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
            if not {info.compress_type for info in bundle.infolist()} <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise ValueError("it is packed in a way that no site packs")
            return {name: bundle.read(name) for name in names}
    except (OSError, zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError) as error:  # or encrypted
        raise ValueError(str(error)) from error


def problems_of(files: dict[str, bytes], anchor: str | None = None) -> Iterator[str]:
    """Yield one sentence for each thing that is not as it was written."""
    yield from check_files(files)
    try:
        decision, signatures, audit, checklist = (read_json(files[name]) for name in JSON_FILES)
        entries = audit["entries"]
        yield from check_fields(decision, signatures, audit)
        yield from check_entries(entries, audit["head"], anchor)
        yield from check_decision(decision, [(entry, read_json(entry["detail"])) for entry in entries])
        yield from check_signatures(signatures, decision, entries)
        if sha256_of(checklist) != decision["covered"]["checklist"]["digest"]:
            yield "checklist.json was altered: it is not the version that the decision names."
        yield from check_markdown(files["decision.md"].decode(), record_markdown(decision, signatures, checklist))
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


def check_fields(decision: dict[str, Any], signatures: list[Any], audit: dict[str, Any]) -> Iterator[str]:
    parts = [("decision.json", [decision]), ("names", [decision["names"]]), ("signatures.json", signatures)]
    for where, rows in (*parts, ("audit.json", [audit]), ("entries", audit["entries"])):
        for name in sorted({name for row in rows for name in row} - set(FIELDS[where].split())):
            yield f"A field {name!r} was added to {where}: no site writes it."


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
    moments: dict[str, str | None] = dict.fromkeys(("created_at", "proposed_at", "decided_at", "criterion_locked_at"))
    status, fixed = "", ""
    for entry, detail in own:
        action, at = entry["action"], entry["at"]
        status = STATUS_AFTER.get(action, status)
        if action in ("proposed", "reopened"):
            moments["decided_at"] = None
        if action == "proposed" or (action == "edited" and status == "proposed"):
            moments["proposed_at"] = at
        elif action in ("accepted", "rejected"):
            moments["decided_at"] = at
        elif action == "drafted":
            moments["created_at"] = at
        elif action == "locked criterion":
            moments["criterion_locked_at"], fixed = at, detail["test_set"]
    for name, moment in moments.items():
        if not _same_moment(decision[name], moment):
            yield f"decision.json was altered: {name} is not what the audit log recorded."
    promised = (decision["covered"]["criterion"] or {}).get("test_set", "")
    if decision["test_set"] != (fixed or promised):
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
        if (name := signature["on_behalf_of_name"]) != (
            stated := statement.get("on_behalf_of_name", name if principal else None)
        ):
            yield f"{named} is said to be given for {name}, and it states {stated}."
    for missing in recorded:
        yield f"Signature {missing} was given, as the audit log says, and is missing."


def check_markdown(text: str, expected: str) -> Iterator[str]:
    """Compare the Markdown with what the JSON files give: nothing else may stand in it."""
    for number, lines in enumerate(zip_longest(text.split("\n"), expected.split("\n")), 1):
        if lines[0] != lines[1]:
            pairs = enumerate(zip_longest(lines[0] or "", lines[1] or ""))
            start = max(0, next((at for at, (one, other) in pairs if one != other), 0) - 30)
            said, wanted = ("nothing" if line is None else f"“{line[start : start + 80]}”" for line in lines)
            yield f"decision.md was altered: line {number} says {said}, and the JSON files {wanted}."
            return


def record_markdown(decision: Any, signatures: Any, checklist: Any) -> str:
    """Return the record as MADR 4, from the values of the JSON files; the site writes it with this very function."""
    covered = decision["covered"]
    record, criterion = covered["decision"], covered["criterion"]
    chosen = {one["id"]: one["title"] for one in checklist["outcomes"]}.get(record["chosen_outcome"])
    options = "\n".join(f"* {_line(option['title'])}" for option in record["options"])
    parts = [
        _front_matter(decision),
        f"# D-{record['number']}: {_line(record['title'])}",
        f"## Context and Problem Statement\n\n{_body(record['context'])}",
        f"## Considered Options\n\n{options or 'None recorded.'}",
        f"## Decision Outcome\n\n{_chosen(record['options'], chosen or record['chosen_outcome'])}",
        f"### Consequences\n\n{_body(record['consequences'])}",
        f"### Confirmation\n\n{_criterion(decision, criterion, covered.get('forecast'))}",
        f"## Pros and Cons of the Options\n\n{_pros_and_cons(record['options'], record.get('measured', []))}",
        f"## More Information\n\n{_more(decision, record, covered['checklist'])}",
        f"### Signatures\n\n{chr(10).join(map(_signature, signatures)) or 'None yet.'}",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(decision: Any) -> str:
    date = decision["decided_at"] or decision["proposed_at"] or decision["created_at"]
    maker = json.dumps(_line(decision["names"]["decision_maker"]), ensure_ascii=False)
    lines = [f"status: {decision['status']}", f"date: {date[:10]}", f"decision-makers: [{maker}]"]
    if decision["superseded_by"]:
        lines.append(f'superseded-by: "D-{decision["superseded_by"]}"')
    if decision["supersedes"]:
        numbers = ", ".join(f'"D-{int(number)}"' for number in decision["supersedes"])
        lines.append(f"supersedes: [{numbers}]")
    return "\n".join(["---", *lines, "---"])


def _chosen(options: Any, title: str) -> str:
    because = next((option["pros"] for option in options if option["title"] == title), "")
    return f'Chosen option: "{_line(title)}"{f", because {_line(because)}" if because else ""}'


def _pros_and_cons(options: Any, measured: Any) -> str:
    parts = []
    for option in options:
        lines = [f"### {_line(option['title'])}\n"]
        lines += [f"* Good, because {_line(option['pros'])}"] if option["pros"] else []
        lines += [f"* Bad, because {_line(option['cons'])}"] if option["cons"] else []
        lines += [_measured(row) for row in measured if row["arm"] == option.get("arm")]
        parts.append("\n".join(lines).strip())
    named = {option.get("arm") for option in options}
    others = [_measured(row) for row in measured if row["arm"] not in named]
    return "\n\n".join([*parts, *(["### Measured beside them", "\n".join(others)] if others else [])])


def _measured(row: Any) -> str:
    value, low, high = (f"{100 * Decimal(row[name]):.1f}" for name in ("value", "low", "high"))
    return (
        f"* Measured, {ARM_NAMES[row['arm']]}: {_metric(row['metric'])} {value} % ({low}–{high}, {row['rows']} rows); "
        f"job {row['job']}, test set sha256 {row['test_set']}, report sha256 {row['report_sha256']}"
    )


def _criterion(decision: Any, criterion: Any, forecast: Any) -> str:
    if criterion is None:
        return "This decision promises nothing measurable."
    at = (decision["criterion_locked_at"] or "")[:16].replace("T", " ")
    least = f"on the test set ≥ {_places(criterion['threshold'])}"
    promise = f"{_metric(criterion['metric'])} of {ARM_NAMES[criterion['arm']]} {least}"
    parts = [f"Success criterion, fixed before the run{f', locked {at} UTC' if at else ''}: {promise}."]
    if decision["test_set"]:
        parts.append(f"Test set: sha256 {decision['test_set']}.")
    if forecast:
        parts.append(
            f"Forecast, made before the run: met with a probability of {_places(forecast['probability'])}; "
            f"expected value {_places(forecast['value'])}."
        )
    return "\n\n".join(parts)


def _more(decision: Any, record: Any, checklist: Any) -> str:
    names, budget = decision["names"], record.get("budget_gpu_minutes")
    lines = (
        f"* Use case: {_line(names['use_case'])} ({record['use_case']})",
        f"* Checklist: {checklist['slug']} v{checklist['version']} (sha256 {checklist['digest']})",
        f"* Owner: {_line(names['owner'])} ({record['owner']})" if record.get("owner") else "* Owner: nobody",
        f"* Budget: {'not set' if budget is None else f'{budget} GPU minutes'}",
        f"* Kill criterion: {_line(record.get('kill_criterion', '')) or 'none'}",
        f"* Review on: {record['review_on'] or 'not set'}",
        f"* Digest of what the signatures cover (RFC 8785, SHA-256): {decision['digest']}",
    )
    return "\n".join(lines)


def _signature(signature: Any) -> str:
    said, principal = signature["statement"], signature["on_behalf_of"]
    whom = f" for {_line(signature['on_behalf_of_name'])} ({principal})" if principal else ""
    role = said["role"].replace("_", " ").capitalize().replace("Ml ", "ML ")
    at = said["signed_at"][:19].replace("T", " ")
    reason = f" Reason: {_line(said['reason'])}" if said["reason"] else ""
    return (
        f"* {_line(said['printed_name'])}, {role}{whom}, {at} UTC: “{_line(said['meaning'])}”"
        f"{reason} (sha256 {said['digest']}){STATE_WORDS[signature['state']]}"
    )


def _metric(key: str) -> str:  # most are named by their key
    return METRIC_NAMES.get(key, key.replace("_", " "))


def _places(share: str) -> str:  # 0.8000 → 0.80, 0.8250 → 0.825
    whole, _, decimals = share.partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def _body(text: str) -> str:
    """Return what people wrote, without headings, code blocks and HTML of its own: else a context could pretend to
    hold signatures, or hide those that follow behind a comment that never ends."""
    return BLOCK.sub(r"\1\\\2", text.replace("\r\n", "\n").replace("<", "&lt;")) or "Not stated."


def _line(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;")


def vouched_for(files: dict[str, bytes]) -> Iterator[str]:
    """Yield what the signatures in a verified bundle cover, what they do not, and what it cannot prove by itself."""
    decision, signatures, audit, _ = (read_json(files[name]) for name in JSON_FILES)
    current = (row["statement"] for row in signatures if row["state"] == "current")
    names = " and ".join(f"{said['printed_name']} ({said['verdict']})" for said in current)
    yield f"Signed as it reads, by {names or 'nobody'}, sha256 {decision['digest']}: {SIGNED}."
    yield "Recorded in the audit log: status, dates, test set, and each signature that counts no more."
    yield f"Vouched for by nothing but SHA256SUMS: {UNSIGNED}."
    yield f"To know that all of it was not made up, ask the site: manage.py verify_audit --contains {audit['head']}"


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
    print("\n".join(found or [f"{given.bundle}: verified", *vouched_for(files)]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
