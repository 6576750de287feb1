"""Drawings among the content files: SVG made of a few shapes, read strictly and written anew.

An SVG file can carry script, fetch from elsewhere and paint over its page, so nothing of it is passed on as it stands.
What is on the lists below is written again from the parsed values; anything else makes the whole file a problem. A
drawing has no colours of its own: its classes take those of the page, light or dark.
"""

import html
import re
from xml.parsers import expat

from playbook.contracts.model import Frozen
from playbook.library.problems import ContentError

MAX_FIGURE_BYTES = 64 * 1024
MAX_ELEMENTS = 1_500
#: Units of the viewBox. A column on a phone has about 330 pixels, so that a text of 11 units stays readable there.
WIDTHS = range(240, 421)
HEIGHTS = range(40, 901)
MAX_TITLE_CHARACTERS = 120
MAX_DESCRIPTION_CHARACTERS = 1_200
#: A file with more mistakes than these is another kind of drawing.
SHOWN_PROBLEMS = 20

#: The inks and types that `wiki.css` knows below `.drawing`; a test compares them.
CLASSES = frozenset(
    {"axis", "grid-line", "line", "dashed", "box", "soft", "arrow", "muted", "strong", "little", "mono"}
    | {f"{ink}-{number}" for ink in ("series", "fill", "soft", "text") for number in (1, 2, 3, 4)}
)

_SVG = "http://www.w3.org/2000/svg"
_NUMBER = re.compile(r"-?[0-9]{1,5}(?:\.[0-9]{1,3})?")
_NUMBERS = re.compile(r"[0-9 ,.\-]{1,20000}")
_PATH = re.compile(r"[MmLlHhVvCcSsQqTtAaZz0-9 ,.\-]{1,20000}")
_TURN = re.compile(r"(?:(?:translate|rotate|scale)\([0-9 ,.\-]{1,40}\) ?){1,3}")
_VIEW_BOX = re.compile(r"0 0 (?P<width>[0-9]{3}) (?P<height>[0-9]{2,3})")
_ANCHOR = re.compile(r"start|middle|end")
_CLASS = re.compile(rf"(?:(?:{'|'.join(sorted(CLASSES))}) ?)+")

_COMMON = {"class": _CLASS, "transform": _TURN}
_PLACED = {"x": _NUMBER, "y": _NUMBER, "dx": _NUMBER, "dy": _NUMBER, "text-anchor": _ANCHOR}
#: Element → attribute → what its whole value must look like.
_ALLOWED: dict[str, dict[str, re.Pattern[str]]] = {
    "svg": {"viewBox": _VIEW_BOX},
    "title": {},
    "desc": {},
    "g": _COMMON,
    "path": {**_COMMON, "d": _PATH},
    "line": {**_COMMON, **dict.fromkeys(("x1", "y1", "x2", "y2"), _NUMBER)},
    "rect": {**_COMMON, **dict.fromkeys(("x", "y", "width", "height", "rx"), _NUMBER)},
    "circle": {**_COMMON, **dict.fromkeys(("cx", "cy", "r"), _NUMBER)},
    "ellipse": {**_COMMON, **dict.fromkeys(("cx", "cy", "rx", "ry"), _NUMBER)},
    "polyline": {**_COMMON, "points": _NUMBERS},
    "polygon": {**_COMMON, "points": _NUMBERS},
    "text": {**_COMMON, **_PLACED},
    "tspan": {**_COMMON, **_PLACED},
}
_WORDS = {"title", "desc", "text", "tspan"}
#: What may stand within what; shapes hold nothing.
_INSIDE = {"svg": _ALLOWED.keys() - {"svg", "tspan"}, "g": _ALLOWED.keys() - {"svg", "title", "desc", "tspan"}}
_INSIDE["text"] = {"tspan"}


class Figure(Frozen):
    """A drawing. `shapes` is safe SVG without its outermost element; width and height are those of the viewBox."""

    slug: str
    title: str
    description: str
    width: int
    height: int
    shapes: str

    def markup(self, name: str) -> str:
        """Return the whole element, its title and description under ids that begin with `name`."""
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}" role="img"'
            f' aria-labelledby="{name}-title {name}-desc">'
            f'<title id="{name}-title">{html.escape(self.title)}</title>'
            f'<desc id="{name}-desc">{html.escape(self.description)}</desc>{self.shapes}</svg>'
        )


def read_figure(path: str, text: str) -> Figure:
    """Return the drawing in `text`, the file at `figures/<slug>.svg`. Raises ContentError with the lines of all that is
    not allowed, and when title, description or size are missing."""
    if (size_bytes := len(text.encode())) > MAX_FIGURE_BYTES:
        raise ContentError((1, f"drawing of {size_bytes:,} bytes; keep it under {MAX_FIGURE_BYTES:,}"))
    drawing = _Reader()
    try:
        drawing.parser.Parse(text, True)
    except expat.ExpatError as error:
        raise ContentError((error.lineno, f"not XML: {expat.errors.messages[error.code]}")) from error
    drawing.look_at_whole()
    if drawing.problems:
        raise ContentError(*drawing.problems[:SHOWN_PROBLEMS])
    return Figure(
        slug=path.rpartition("/")[2].removesuffix(".svg"),
        title=drawing.words["title"],
        description=drawing.words["desc"],
        width=drawing.width,
        height=drawing.height,
        shapes="".join(drawing.written),
    )


class _Reader:
    """Listens to expat, which resolves no entity and fetches nothing, and writes what is allowed."""

    def __init__(self) -> None:
        self.problems: list[tuple[int, str]] = []
        self.written: list[str] = []
        self.words = {"title": "", "desc": ""}
        self.width = self.height = 0
        self.open: list[str] = []
        self.elements = 0
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.ProcessingInstructionHandler = self.instruction

    def note(self, message: str, *, line: int | None = None) -> None:
        self.problems.append((line or self.parser.CurrentLineNumber, message))

    def doctype(self, name: str, *_: object) -> None:
        """Stop at once: what follows may declare entities that grow without end."""
        raise ContentError((self.parser.CurrentLineNumber, f"<!DOCTYPE {name[:80]}> is not allowed; remove it"))

    def instruction(self, target: str, _: str) -> None:
        self.note(f"<?{target[:80]}?> is not allowed; remove it")

    def start(self, full_name: str, attributes: dict[str, str]) -> None:
        self.elements += 1
        if self.elements > MAX_ELEMENTS:
            line = self.parser.CurrentLineNumber
            raise ContentError((line, f"more than {MAX_ELEMENTS:,} elements; simplify the drawing"))
        namespace, _, name = full_name.rpartition(" ")
        inside = self.open[-1] if self.open else ""
        self.open.append(name)
        if namespace != _SVG or name not in _ALLOWED:
            wrong = f"<{name[:80]}> is not allowed" if namespace == _SVG else f'<{name[:80]}> lacks xmlns="{_SVG}"'
            self.note(f"{wrong}; a drawing is made of {', '.join(_ALLOWED)}")
            return
        if (name not in _INSIDE.get(inside, set())) if inside else (name != "svg"):
            self.note(f"<{name}> cannot stand {f'inside <{inside[:80]}>' if inside else 'outside <svg>'}")
        kept = "".join(self._attributes(name, attributes))
        if name == "svg":
            self._size(attributes.get("viewBox", ""))
        elif self.words.get(name):
            self.note(f"a second <{name}>; keep one")
        elif name not in self.words:
            self.written.append(f"<{name}{kept}>")

    def _attributes(self, name: str, attributes: dict[str, str]) -> list[str]:
        kept = []
        for key, value in attributes.items():
            pattern = _ALLOWED[name].get(key)
            if pattern is None:
                known = ", ".join(_ALLOWED[name]) or "none"
                self.note(f"<{name}> cannot have {key.rpartition(' ')[2][:80]!r}; it may have: {known}")
            elif not pattern.fullmatch(value):
                known = f"; known: {', '.join(sorted(CLASSES))}" if key == "class" else ""
                self.note(f"<{name} {key}={value[:80]!r}> is not allowed{known}")
            else:
                kept.append(f' {key}="{html.escape(value)}"')
        return kept

    def _size(self, view_box: str) -> None:
        found = _VIEW_BOX.fullmatch(view_box)
        if found and int(found["width"]) in WIDTHS and int(found["height"]) in HEIGHTS:
            self.width, self.height = int(found["width"]), int(found["height"])
        else:
            self.note(
                f'<svg> needs viewBox="0 0 WIDTH HEIGHT", {WIDTHS[0]} to {WIDTHS[-1]} wide and {HEIGHTS[0]} to '
                f"{HEIGHTS[-1]} high, so that it can be read on a phone"
            )

    def end(self, full_name: str) -> None:
        name = self.open.pop()
        if name in _ALLOWED and name not in ("svg", *self.words):
            self.written.append(f"</{name}>")

    def characters(self, text: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside in self.words:
            self.words[inside] += text
        elif inside in _WORDS:
            self.written.append(html.escape(text))
        elif text.strip():
            self.note(f"text {text.strip()[:40]!r} outside <text>")

    def look_at_whole(self) -> None:
        bounds = {"title": MAX_TITLE_CHARACTERS, "desc": MAX_DESCRIPTION_CHARACTERS}
        for name, most in bounds.items():
            self.words[name] = " ".join(self.words[name].split())
            if not self.words[name]:
                self.note(f"no <{name}>; say what the drawing {'is' if name == 'title' else 'shows'}", line=1)
            elif len(self.words[name]) > most:
                self.note(f"<{name}> of {len(self.words[name]):,} characters; keep it under {most:,}", line=1)
