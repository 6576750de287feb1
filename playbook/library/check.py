"""The check of a whole library: what the files have wrong, each with file and line. Renders nothing.

Above `content`; `manage.py check_content` prints it, and an article page shows the part that is its own. Linear in the
number of articles: every article is scanned once, and every link is one look-up.
"""

from collections.abc import Iterator
from datetime import date, timedelta

from playbook.library.articles import Article
from playbook.library.blocks import BLOCK_KINDS, BlockMark
from playbook.library.consistency import line_of
from playbook.library.content import Library
from playbook.library.embeds import EMBED_KINDS, parse_embed
from playbook.library.files import read_text
from playbook.library.formulas import FormulaError, to_mathml
from playbook.library.links import content_path, judge
from playbook.library.problems import ContentError, ContentProblem
from playbook.library.reader import GLOSSARY_PATH
from playbook.library.sanitise import SHOWN_ATTRIBUTES, SHOWN_TAGS


def check_library(library: Library, *, today: date) -> tuple[ContentProblem, ...]:
    """Return everything that should be mended, errors and warnings, sorted by file and line."""
    found = list(library.problems)
    for article in library.articles.values():
        found.extend(check_article(library, article))
        found.extend(_expired_sources(article, today))
        found.extend(_review_to_come(article, today))
        found.extend(_references(library, article))
    found.extend(_orphans(library))
    found.extend(_checklists(library))
    found.extend(_glossary(library))
    return tuple(sorted(set(found), key=lambda problem: (problem.path, problem.line, problem.message)))


def check_article(library: Library, article: Article) -> tuple[ContentProblem, ...]:
    """Return what is wrong with the text of one article: links, anchors, images, formulas, blocks and HTML."""
    outline = article.outline
    if outline.refused:
        return outline.refused.problems(article.path)
    return tuple(
        ContentProblem(path=article.path, line=line, message=message, severity="warning" if warning else "error")
        for line, message, warning in (
            *_links(library, article),
            *_formulas(article),
            *_blocks(library, article),
            *_html(article),
        )
    )


_Found = tuple[int, str, bool]


def _links(library: Library, article: Article) -> Iterator[_Found]:
    for mention in article.outline.mentions:
        verdict = judge(library, article, mention)
        if mention.kind == "image" and (drawn := _drawing_of(mention.href)):
            yield mention.line, f"{mention.href[:200]!r} is a drawing; show it with /// figure | {drawn}", False
            continue
        if verdict.error:
            yield mention.line, verdict.error, False
        if verdict.warning:
            yield mention.line, verdict.warning, True
        if mention.kind == "image":
            if not mention.alt:
                message = f"image {mention.href[:200]!r} has no text; say what it shows between [ and ]"
                yield mention.line, message, False
            place = content_path(article.path, mention.href) if mention.href else None
            if verdict.target is not None and place and place[0] not in library.images:
                yield mention.line, f"{mention.href[:200]!r} is no image; link to it without the !", False


def _drawing_of(href: str) -> str | None:
    """Return the slug of a drawing that somebody wants to show as a picture."""
    name = href.rpartition("/")[2]
    return name.removesuffix(".svg") if name.endswith(".svg") else None


def _formulas(article: Article) -> Iterator[_Found]:
    for formula in article.outline.formulas:
        try:
            to_mathml(formula.tex, block=formula.block)
        except FormulaError as error:
            shown = formula.tex if len(formula.tex) <= 60 else f"{formula.tex[:59]}…"
            yield formula.line, f"formula {shown!r} cannot be read: {error}", False


def _blocks(library: Library, article: Article) -> Iterator[_Found]:
    for line, message in article.outline.mistakes:
        yield line, message, False
    known = library.embeddable()
    for block in article.outline.blocks:
        if block.kind in EMBED_KINDS:
            try:
                parse_embed(block.kind, block.argument, known)
            except ValueError as error:
                yield block.line, str(error), False
        elif block.kind not in BLOCK_KINDS:
            choice = ", ".join(sorted({*BLOCK_KINDS, *EMBED_KINDS}))
            yield block.line, f"/// {block.kind[:80]} is no block; there are: {choice}", False
        elif block.kind == "figure":
            yield from _figure(library, article, block)
        elif block.kind == "tab" and not block.argument:
            yield block.line, "/// tab has no title; write it after a bar: /// tab | Title", False


def _html(article: Article) -> Iterator[_Found]:
    """Yield the HTML that the page leaves out: what is harmful, and what was only meant as words, as in <model>."""
    for tag in article.outline.html:
        if tag.name not in SHOWN_TAGS:
            yield tag.line, f"<{tag.name[:40]}> is not shown; remove it, or write it between backticks", False
            continue
        for name in tag.attributes:
            if name not in SHOWN_ATTRIBUTES.get(tag.name, ()):
                yield tag.line, f"<{tag.name} {name[:40]}> is shown without {name[:40]}; remove the attribute", True


def _figure(library: Library, article: Article, block: BlockMark) -> Iterator[_Found]:
    if block.argument not in library.figures:
        choice = ", ".join(list(library.figures)[:12]) or "none"
        shown = block.argument[:80]
        yield block.line, f"/// figure names {shown!r}, which is no drawing in figures/; there are: {choice}", False
    below = article.text.split("\n", block.line + 1)[block.line :]
    if not below or not below[0].strip() or below[0].lstrip().startswith("///"):
        yield block.line, f"/// figure | {block.argument[:80]} has no caption; write its source on the next line", False


def _expired_sources(article: Article, today: date) -> Iterator[ContentProblem]:
    for source in article.sources:
        if source.expires and source.expires < today:
            message = f"source {source.title!r} expired on {source.expires}; read it again, or remove what it supports"
            yield ContentProblem(path=article.path, line=line_of(article.text, source.title), message=message)


def _review_to_come(article: Article, today: date) -> Iterator[ContentProblem]:
    """Yield a review that nobody can have made yet; a day is allowed for those east of the server."""
    if article.reviewed > today + timedelta(days=1):
        message = f"reviewed on {article.reviewed}, which is to come; write the day of the last review"
        yield ContentProblem(path=article.path, line=line_of(article.text, "reviewed:"), message=message)


def _references(library: Library, article: Article) -> Iterator[ContentProblem]:
    """Yield what `related` names by an anchor that is not there, or by a former name."""
    for ref in article.related:
        yield from _reference(library, article.path, ref)


def _checklists(library: Library) -> Iterator[ContentProblem]:
    for checklist in library.checklists.values():
        refs = [checklist.article, *(question.article for question in checklist.questions)]
        for ref in dict.fromkeys(ref for ref in refs if ref):
            yield from _reference(library, f"checklists/{checklist.slug}.yaml", ref)


def _glossary(library: Library) -> Iterator[ContentProblem]:
    for term in library.glossary.values():
        if term.article:
            yield from _reference(library, GLOSSARY_PATH, term.article)


def _reference(library: Library, path: str, ref: str) -> Iterator[ContentProblem]:
    key, _, anchor = ref.partition("#")
    target = library.article(ref)
    if target is None:
        return  # noted when the files were read
    if anchor and anchor not in target.outline.anchors:
        message = f"{ref!r} names a heading that {target.path} lacks; correct or remove the part after #"
        yield ContentProblem(path=path, line=_line(library, path, ref), message=message)
    if key != target.key:
        message = f"{ref!r} is a former name; the article is now {target.key}"
        yield ContentProblem(path=path, line=_line(library, path, ref), message=message, severity="warning")


def _line(library: Library, path: str, part: str) -> int:
    try:
        return line_of(read_text(library.content_dir, path), part)
    except ContentError:
        return 1  # removed since the library was read


def _orphans(library: Library) -> Iterator[ContentProblem]:
    for article in library.links.orphans:
        message = "no other article, `related` or checklist leads here; link to it from one"
        yield ContentProblem(path=article.path, line=1, message=message)
