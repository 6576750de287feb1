"""Formulas in TeX → MathML, the markup that browsers draw without JavaScript.

latex2mathml reads the TeX. Its own serialiser writes text without escaping it, so the tree is written here: elements
and attributes from closed lists, all text escaped. Knows nothing of articles.
"""

import html
import re
from functools import lru_cache
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element

MAX_FORMULA_CHARACTERS = 2_000
MAX_BRACES = 200
#: `$…$` as pandoc reads it: no space inside the marks, no digit after them, so "$5 and $10" is money. `$$…$$` may span
#: lines, none of them empty. Alternatives in this order: the longer mark first.
FORMULA = (
    r"(?<![\\$])(?:\$\$(?P<block>(?:[^$\\\n]|\\.|\n(?!\s*\n))+?)\$\$"
    r"|\$(?![\s$])(?P<inline>(?:[^$\\\n]|\\.|\n(?!\s*\n))*?(?:[^$\\\s]|\\.))\$(?!\d))"
)

_ELEMENTS = frozenset(
    {
        "math",
        "menclose",
        "merror",
        "mfenced",
        "mfrac",
        "mi",
        "mmultiscripts",
        "mn",
        "mo",
        "mover",
        "mpadded",
        "mphantom",
    }
    | {"mprescripts", "mroot", "mrow", "ms", "mspace", "msqrt", "mstyle", "msub", "msubsup", "msup", "mtable", "mtd"}
    | {"mtext", "mtr", "munder", "munderover", "none"}
)
_ATTRIBUTES = frozenset(
    {"accent", "accentunder", "columnalign", "columnlines", "columnspacing", "columnspan", "depth", "display", "fence"}
    | {"displaystyle", "form", "height", "largeop", "linethickness", "lspace", "mathcolor", "mathsize", "mathvariant"}
    | {"maxsize", "minsize", "movablelimits", "notation", "rowlines", "rowspacing", "rspace", "scriptlevel"}
    | {"separator", "stretchy", "symmetric", "voffset", "width"}
)
_VALUE = re.compile(r"[\w#.%+\- ]{0,60}", re.ASCII)
_CHILDREN = {"mfrac": 2, "mroot": 2, "msub": 2, "msup": 2, "msubsup": 3, "mover": 2, "munder": 2, "munderover": 3}


class FormulaError(ValueError):
    """TeX that cannot be shown as a formula. The message says what is wrong with it, in one phrase."""


@lru_cache(maxsize=4096)
def to_mathml(tex: str, *, block: bool) -> str:
    """Return a `<math>` element for `tex`, on a line of its own when `block`. Raises FormulaError.

    >>> to_mathml("x^2", block=False)
    '<math display="inline"><mrow><msup><mi>x</mi><mn>2</mn></msup></mrow></math>'
    """
    _refuse_unbalanced(tex)
    try:
        root = convert_to_element(tex, display="block" if block else "inline")
    except RecursionError as error:
        raise FormulaError("nested too deeply") from error
    except Exception as error:
        # The parser raises its own exceptions for some mistakes and Python's for others (IndexError, StopIteration).
        raise FormulaError(_in_words(error)) from error
    return _written(root)


def _refuse_unbalanced(tex: str) -> None:
    if len(tex) > MAX_FORMULA_CHARACTERS:
        raise FormulaError(f"longer than {MAX_FORMULA_CHARACTERS:,} characters")
    plain = re.sub(r"\\.", "", tex, flags=re.DOTALL)
    opened, closed = plain.count("{"), plain.count("}")
    if opened != closed:
        raise FormulaError(f"{opened} opening and {closed} closing braces")
    if opened > MAX_BRACES:
        raise FormulaError(f"more than {MAX_BRACES} pairs of braces")


def _in_words(error: Exception) -> str:
    """Turn `MissingSuperScriptOrSubscriptError` into "missing super script or subscript"."""
    return " ".join(re.findall(r"[A-Z][a-z]+", type(error).__name__.removesuffix("Error"))).lower() or "not readable"


def _written(element: Element) -> str:
    name, text = element.tag, html.unescape(element.text or "")
    if name not in _ELEMENTS:
        raise FormulaError(f"it would need <{name}>, which is not allowed here")
    if name == "mi" and len(text) > 1 and text.startswith("\\"):
        raise FormulaError(f"unknown command {text[:60]}")
    if len(element) < _CHILDREN.get(name, 0):
        raise FormulaError(f"a part is missing in {name.removeprefix('m')}")
    attributes = "".join(
        f' {key}="{html.escape(value)}"'
        for key, value in element.attrib.items()
        if key in _ATTRIBUTES and _VALUE.fullmatch(value)
    )
    return f"<{name}{attributes}>{html.escape(text)}{''.join(map(_written, element))}</{name}>"
