"""Reads HTML as a parser does and says what in it could execute, load or look like the site itself."""

import re
from html.parser import HTMLParser

_TEXT = (
    "a abbr br code del em img kbd s small span strong sub sup blockquote div h2 h3 h4 h5 h6 hr p pre dd dl dt li ol ul"
)
_TABLE = "table tbody td th thead tr"
_OURS = "input label math mfrac mi mn mo mrow mspace mstyle msub msubsup msup mtext mtable mtd mtr mover munder"
TAGS = set(f"{_TEXT} {_TABLE} {_OURS}".split())
ATTRIBUTES = {
    *("href", "title", "class", "rel", "id", "src", "alt", "width", "height", "loading", "start", "align", "scope"),
    *("tabindex", "aria-label", "aria-describedby", "role", "data-embed", "data-ref", "type", "name", "checked", "for"),
    *("display", "mathcolor", "mathvariant", "displaystyle", "scriptlevel", "columnalign", "stretchy", "fence", "form"),
}
_ADDRESS = re.compile(r"(?:https?://|mailto:|/|#)")
_VOID = {"br", "hr", "img", "input"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.strange: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.strange.append(f"<{tag}>")
        if tag not in _VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name not in ATTRIBUTES:
                self.strange.append(f"{tag}[{name}]")
            if name in ("href", "src") and not _ADDRESS.match(value or ""):
                self.strange.append(f"{tag}[{name}={value}]")
        if tag == "input" and dict(attrs).get("type") != "radio":
            self.strange.append("input that is no radio button")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.strange.append(f"</{tag}> out of place")

    def handle_comment(self, data: str) -> None:
        self.strange.append(f"<!--{data}-->")

    def handle_decl(self, decl: str) -> None:
        self.strange.append(f"<!{decl}>")

    def unknown_decl(self, data: str) -> None:
        self.strange.append(f"<![{data}]>")

    def handle_pi(self, data: str) -> None:
        self.strange.append(f"<?{data}>")


def dangers(html: str) -> list[str]:
    """Return the tags, attributes and addresses in `html` that an article must not have, and tags left open."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return [*reader.strange, *(f"<{tag}> left open" for tag in reader.open)]
