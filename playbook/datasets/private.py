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


#: How keys of further services begin: Groq, xAI, NVIDIA, Perplexity, Replicate, Tavily, DigitalOcean, Vault, Stripe's
#: webhooks, Shopify, Linear, Google's OAuth, Hugging Face's organisations.
_KEYS = (
    "api_org_",
    "gsk_",
    "xai-",
    "nvapi-",
    "pplx-",
    "r8_",
    "tvly-",
    "dop_v1_",
    "hvs.",
    "whsec_",
    "shpat_",
    "lin_api_",
    "ya29.",
)
_SECRETS = (
    _kind("private key", r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----", "PRIVATE KEY"),
    _kind("AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", "AKIA", "ASIA"),
    _kind(
        "GitHub token",
        r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})",
        *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    ),
    _kind("GitLab token", r"\bglpat-[A-Za-z0-9_-]{20,}", "glpat-"),
    _kind("Slack token", r"\b(?:xox[abprs]|xapp)-[A-Za-z0-9-]{10,}", "xox", "xapp-"),
    _kind("Slack webhook", r"\bhooks\.slack\.com/services/T\w+/B\w+/\w+", "hooks.slack.com"),
    _kind("Google API key", r"\bAIza[0-9A-Za-z_-]{35}\b", "AIza"),
    _kind("Hugging Face token", r"\bhf_[A-Za-z0-9]{30,}\b", "hf_"),
    _kind("API key", r"\bsk-(?=[A-Za-z_-]{0,40}\d)[A-Za-z0-9_-]{20,}", "sk-"),
    _kind("Stripe key", r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}", "k_live_", "k_test_"),
    _kind("API key", rf"\b(?:{'|'.join(map(re.escape, _KEYS))})(?=[\w.-]{{0,40}}\d)[\w-]{{30,}}", *_KEYS),
    _kind("Google client secret", r"\bGOCSPX-[A-Za-z0-9_-]{20,}", "GOCSPX-"),
    _kind("Docker token", r"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}", "dckr_"),
    _kind("npm token", r"\bnpm_[A-Za-z0-9]{36}\b", "npm_"),
    _kind("PyPI token", r"\bpypi-[A-Za-z0-9_-]{50,}", "pypi-"),
    _kind("SendGrid key", r"\bSG\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{30,}", "SG."),
    _kind("web token", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}", "eyJ"),
    _kind("bearer token", r"\b[Bb]earer [A-Za-z0-9._~+/-]{20,}", "earer "),
    _kind("password in an address", r"\b[a-z][a-z0-9+]{1,20}://[^\s:/@]{1,100}:[^\s:/@]{3,100}@", "://"),
)
#: A digit or a mark among six characters or more: “password: string” is a sentence, or a type. In a sentence a digit.
_PASSWORD = _kind(
    "password",
    r"(?i:(?:password|passwd|passwort|kennwort|mot de passe|contraseña|pwd|secret|(?:api|access|account)[_-]?key"
    r"|(?:api|auth|access|refresh|bot)[_-]?token)[\w-]{0,20}[\"']?"
    r"(?:\s{0,4}[=:]\s{0,4}[\"']?(?!\$[a-z_({]|[a-z_][\w.]*\()(?=[^\s\"',;]{0,100}[\d!@#$%^&*+/~])"
    r"|\s(?:is|ist|lautet|est|es)\s[\"']?(?=[^\s\"',;]{0,100}\d))[^\s\"',;]{6,})",
    *("passw", "kennwort", "mot de passe", "contraseña", "pwd", "secret", "key", "token"),
)
#: Not what git reaches a server by, nor a picture for a sharper screen (icon@2x.png).
_EMAIL = _kind(
    "email address", r"\b(?!git@)[\w.%+-]{1,64}@(?!\dx\.)[\w-]{1,63}(?:\.[\w-]{1,63})*\.[^\W\d_]{2,24}\b", "@"
)
_NUMBERS = (
    _kind("phone number", r"(?<![\w+])\+[1-9]\d{0,2}[ ./-]?(?:\(\d{1,3}\)[ ]?)?(?:\d[ ./-]?){6,11}\d(?!\w)", "+"),
    # North America, then numbers with a trunk prefix as in Germany.
    _kind(
        "phone number",
        r"(?<![\w-])(?<!\+1 )(?:1[-.])?(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-.]\d{4}(?![\w-])"
        r"|(?<![\w./-])0[1-9]\d{1,3}(?: ?[/-] ?| )\d{5,8}(?![\w/-])",
        *("-", ".", "/", " "),
    ),
    # Numbers in groups behind a trunk prefix, as in France, Great Britain, Switzerland, Germany and Japan, and with 00.
    _kind(
        "phone number",
        r"(?<![\w./-])(?<!\d )(?:0[1-9](?:[ .-]\d\d){4}|0[1-9]0-\d{4}-\d{4}|06-\d{8}|"
        r"0[1-9]\d{1,3} \d{3,4}(?: \d{2,4}){1,2}|"
        r"\(0[1-9]\d{0,3}\) ?\d{3,8}(?: \d{2,4}){0,2}|"
        r"00[1-9]\d?[ ./-](?=[1-9(])(?:\(0?\d{1,3}\) ?)?(?:\d[ ./-]?){6,11}\d)(?![\w/-]| \d)",
        "0",
    ),
    _kind("social security number", r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])", "-"),
    _kind("card number", r"(?<![\d-])(?<!\d[.,])(?:\d[ -]?){12,18}\d(?![\d-])", ""),
    # Both cases by name: told to ignore case, the engine takes ſ, İ and K for letters of an IBAN, which have no number.
    _kind("IBAN", r"\b[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?\b", ""),
)
#: What networks number their cards by, ISO/IEC 7812: Visa, Mastercard, American Express, Diners, JCB, Discover,
#: UnionPay, Maestro. A number that is only of such a length is some number of an order more often than a card.
_CARD = re.compile(
    r"4\d{15}(?:\d{3})?|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[68]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|6(?:011|4[4-9]\d|5\d\d)\d{12}|62\d{14}(?:\d{3})?"
    r"|(?:50|5[6-9]|6[37])\d{14}"
)
#: Countries and how many characters their IBAN has, from SWIFT's registry.
_IBANS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 "
    "ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 "
    "LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 "
    "PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
_IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _IBANS.split()}
#: White space and hyphens that no line breaks at, as texts copied from pages hold them.
_PLAIN = {"\u00a0": " ", "\u202f": " ", "\u2007": " ", "\u2010": "-", "\u2011": "-"}
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
    if not written.joined.isascii():
        for mark, plain in _PLAIN.items():
            if mark in written.joined:
                texts = [text.replace(mark, plain) for text in texts]
                written = Texts(texts)
    for kind in _SECRETS:
        yield from _matches(kind, texts, written.holding(*kind.hints), is_secret=True)
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
    """A number as a card network gives it, and the Luhn check of ISO/IEC 7812."""
    digits = [int(mark) for mark in text if mark.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    is_given = _CARD.fullmatch("".join(map(str, digits))) and len(set(digits)) > 1
    return bool(is_given) and (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def _is_iban(text: str) -> bool:
    """A length as its country has it, and the check of ISO 13616: letters as numbers, the first four characters last,
    modulo 97 gives 1. Short words may follow: they look like groups of it."""
    length, groups = _IBAN_LENGTHS.get(text[:2].upper(), 0), text.split(" ")
    while sum(map(len, groups)) > length:
        groups.pop()
    compact = "".join(groups)
    if not length or len(compact) < length:
        return False
    return int("".join(str(int(mark, 36)) for mark in compact[4:] + compact[:4])) % 97 == 1
