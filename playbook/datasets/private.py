"""Secrets and personal data in text. Patterns from the providers' own documentation of their key formats; numbers with
a check digit (cards, IBAN) are verified, so that an order number is not called a card."""

import re
from collections.abc import Iterator

_SECRETS = {
    "private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----",
    "AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})",
    "GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "Slack token": r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
    "Google API key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}\b",
    "API key": r"\bsk-[A-Za-z0-9_-]{20,}",
    "web token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    "password": r"(?i:\b(?:password|passwd|pwd|secret|api[_-]?key)\s*[=:]\s*[\"']?[^\s\"',;]{6,})",
}
_PERSONAL = {
    "email address": r"\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,24}\b",
    "phone number": r"(?<![\w+])\+[1-9]\d{0,2}[ ./-]?(?:\(0\)[ ]?)?(?:\d[ ./-]?){6,11}\d(?!\w)",
    "card number": r"(?<![\d-])(?:\d[ -]?){12,18}\d(?![\d-])",
    "IBAN": r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
}
_NAMES = {f"p{number}": name for number, name in enumerate((*_SECRETS, *_PERSONAL))}
_PATTERN = re.compile(
    "|".join(f"(?P<p{number}>{pattern})" for number, pattern in enumerate((*_SECRETS.values(), *_PERSONAL.values())))
)
#: A text without any of these holds nothing that the patterns could find; looking is quicker than matching.
_HINT = re.compile(
    r"[@+]|\d[ -]?\d[ -]?\d[ -]?\d[ -]?\d[ -]?\d[ -]?\d|PRIVATE|[_-][A-Za-z0-9]{10}|AKIA|ASIA|AIza|eyJ|[=:]"
)


def find_private(text: str) -> Iterator[tuple[bool, str]]:
    """Yield (is a secret, "kind: value made unreadable") for each find.

    >>> list(find_private("write to ada@example.org"))
    [(False, 'email address: ad…')]
    """
    if not _HINT.search(text):
        return
    for match in _PATTERN.finditer(text):
        name, value = _NAMES[str(match.lastgroup)], match.group()
        if (name == "card number" and not _is_card(value)) or (name == "IBAN" and not _is_iban(value)):
            continue
        yield name in _SECRETS, f"{name}: {value[:2]}…"


def _is_card(text: str) -> bool:
    """The Luhn check of ISO/IEC 7812, and a first digit that card networks use."""
    digits = [int(mark) for mark in text if mark.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return digits[0] in (3, 4, 5, 6) and len(set(digits)) > 1 and (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def _is_iban(text: str) -> bool:
    """The check of ISO 13616: letters as numbers, the first four characters last, modulo 97 gives 1."""
    compact = text.replace(" ", "")
    return int("".join(str(int(mark, 36)) for mark in compact[4:] + compact[:4])) % 97 == 1
