"""Secrets and personal data in text. Patterns from the providers' own documentation of their key formats; numbers with
a check digit (cards, IBAN) are verified, so that an order number is not called a card."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from playbook.datasets.text import Texts


@dataclass(frozen=True)
class _Kind:
    """`hints`: a text without any of them holds none, and looking is quicker than matching."""

    name: str
    pattern: re.Pattern[str]
    hints: tuple[str, ...]


def _kind(name: str, pattern: str, *hints: str) -> _Kind:
    return _Kind(name, re.compile(pattern), hints)


_SECRETS = (
    _kind("private key", r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----", "PRIVATE KEY"),
    _kind("AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", "AKIA", "ASIA"),
    _kind(
        "GitHub token",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})",
        *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    ),
    _kind("GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}", "glpat-"),
    _kind("Slack token", r"\bxox[abprs]-[A-Za-z0-9-]{10,}", "xox"),
    _kind("Slack webhook", r"\bhooks\.slack\.com/services/T\w+/B\w+/\w+", "hooks.slack.com"),
    _kind("Google API key", r"\bAIza[0-9A-Za-z_-]{35}\b", "AIza"),
    _kind("Hugging Face token", r"\bhf_[A-Za-z0-9]{30,}\b", "hf_"),
    _kind("API key", r"\bsk-(?=[A-Za-z_-]{0,40}\d)[A-Za-z0-9_-]{20,}", "sk-"),
    _kind("Stripe key", r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}", "k_live_", "k_test_"),
    _kind("Google client secret", r"\bGOCSPX-[A-Za-z0-9_-]{20,}", "GOCSPX-"),
    _kind("Docker token", r"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}", "dckr_"),
    _kind("npm token", r"\bnpm_[A-Za-z0-9]{36}\b", "npm_"),
    _kind("PyPI token", r"\bpypi-[A-Za-z0-9_-]{50,}", "pypi-"),
    _kind("SendGrid key", r"\bSG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{30,}", "SG."),
    _kind("web token", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}", "eyJ"),
    _kind("bearer token", r"\b[Bb]earer [A-Za-z0-9._~+/-]{20,}", "earer "),
    _kind("password in an address", r"\b[a-z][a-z0-9+]{1,20}://[^\s:/@]{1,100}:[^\s:/@]{3,100}@", "://"),
)
#: A digit or a mark among six characters or more: “password: string” is a sentence, or a type.
_PASSWORD = _kind(
    "password",
    r"(?i:(?:password|passwd|passwort|kennwort|pwd|secret|(?:api|access|account)[_-]?key)[\w-]{0,20}[\"']?\s{0,4}[=:]"
    r"\s{0,4}[\"']?(?=[^\s\"',;]{0,100}[\d!@#$%^&*+/~])[^\s\"',;]{6,})",
    *("passw", "kennwort", "pwd", "secret", "key"),
)
#: Not what git reaches a server by.
_EMAIL = _kind("email address", r"\b(?!git@)[\w.%+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})*\.[^\W\d_]{2,24}\b", "@")
_NUMBERS = (
    _kind("phone number", r"(?<![\w+])\+[1-9]\d{0,2}[ ./-]?(?:\(\d{1,3}\)[ ]?)?(?:\d[ ./-]?){6,11}\d(?!\w)", "+"),
    # North America, then numbers with a trunk prefix as in Germany.
    _kind(
        "phone number",
        r"(?<![\w-])(?<!\+1 )(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4}(?![\w-])"
        r"|(?<![\w./-])0[1-9]\d{1,3}(?: ?[/-] ?| )\d{5,8}(?![\w/-])",
        *("-", ".", "/", " "),
    ),
    # Numbers in groups behind a trunk prefix, as in France, Great Britain, Switzerland and Germany, and with 00.
    _kind(
        "phone number",
        r"(?<![\w./-])(?<!\d )(?:0[1-9](?:[ .-]\d\d){4}|0[1-9]\d{1,3} \d{3,4}(?: \d{2,4}){1,2}|"
        r"\(0[1-9]\d{0,3}\) ?\d{3,8}(?: \d{2,4}){0,2}|"
        r"00[1-9]\d?[ ./-](?=[1-9(])(?:\(0?\d{1,3}\) ?)?(?:\d[ ./-]?){6,11}\d)(?![\w/-]| \d)",
        "0",
    ),
    _kind("social security number", r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])", "-"),
    _kind("card number", r"(?<![\d-])(?:\d[ -]?){12,18}\d(?![\d-])", ""),
    # Both cases by name: told to ignore case, the engine takes ſ, İ and K for letters of an IBAN, which have no number.
    _kind("IBAN", r"\b[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?\b", ""),
)
_SEVEN_DIGITS = re.compile(r"\d(?:[ ./()-]{0,3}\d){6}")
_BETWEEN_DIGITS = b" ./()-"
_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_OTHER_DIGIT = re.compile(r"[^\D0-9]")


def find_private(texts: Sequence[str]) -> Iterator[tuple[int, bool, str]]:
    """Yield (position of the text, is a secret, "kind: value made unreadable") for each find, kind by kind.

    >>> list(find_private(["write to", "ada@example.org"]))
    [(1, False, 'email address: ad…')]
    """
    written = Texts(texts)
    for kind in _SECRETS:
        yield from _matches(kind, texts, written.holding(*kind.hints), is_secret=True)
    if "=" in written.joined or ":" in written.joined:
        lowered = Texts([text.lower() for text in texts])
        yield from _matches(_PASSWORD, texts, lowered.holding(*_PASSWORD.hints), is_secret=True)
    yield from _matches(_EMAIL, texts, written.holding(*_EMAIL.hints), is_secret=False)
    if _may_hold_numbers(written.joined):
        numbered = [at for at, text in enumerate(texts) if _may_hold_numbers(text) and _SEVEN_DIGITS.search(text)]
        for kind in _NUMBERS:
            hinted = (at for at in numbered if any(hint in texts[at] for hint in kind.hints))
            yield from _matches(kind, texts, hinted, is_secret=False)


def _may_hold_numbers(text: str) -> bool:
    """Tell quickly that there are no seven digits with nothing but marks between them; True may be wrong."""
    digits = text.encode("ascii", "replace").translate(_AS_ZEROS, _BETWEEN_DIGITS)
    return b"0000000" in digits or (not text.isascii() and _OTHER_DIGIT.search(text) is not None)


def _matches(
    kind: _Kind, texts: Sequence[str], positions: Iterable[int], *, is_secret: bool
) -> Iterator[tuple[int, bool, str]]:
    for position in positions:
        for match in kind.pattern.finditer(texts[position]):
            value = match.group()
            if (kind.name == "card number" and not _is_card(value)) or (kind.name == "IBAN" and not _is_iban(value)):
                continue
            yield position, is_secret, f"{kind.name}: {value[:2]}…"


def _is_card(text: str) -> bool:
    """The Luhn check of ISO/IEC 7812, and a first digit that card networks use."""
    digits = [int(mark) for mark in text if mark.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return digits[0] in (3, 4, 5, 6) and len(set(digits)) > 1 and (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def _is_iban(text: str) -> bool:
    """The check of ISO 13616: letters as numbers, the first four characters last, modulo 97 gives 1."""
    compact = text.replace(" ", "")
    return int("".join(str(int(mark, 36)) for mark in compact[4:] + compact[:4])) % 97 == 1
