"""The index: what is found, in which order, by whom, and that no string breaks it."""

import random
from pathlib import Path

import pytest

from playbook.library.content import load_library
from playbook.library.search import Results, SearchIndex
from playbook.library.search_documents import PUBLIC, Document, changed_documents
from playbook.library.search_query import Care, Filters
from playbook.library.search_snippet import SNIPPET_CHARACTERS, Part

CONTENT = Path(__file__).resolve().parents[2] / "content"
EVERYBODY = Filters(groups=(PUBLIC,))

LORA = Document(
    "article",
    "train/lora",
    "What LoRA changes",
    context="Train",
    summary="Two thin matrices beside each weight.",
    text="The rank decides how many parameters are trained. A learning rate ten times higher is usual.",
    labels="Which settings matter adapters",
    area="train",
    tags=("adapters",),
)
DATA = Document(
    "article",
    "data/how-much",
    "How much data is enough?",
    context="Data",
    summary="Hundreds of clean examples, as a rule.",
    text="Overfitting shows on the validation split. Fine-tuning on few examples overfits.",
    area="data",
)
SETTINGS = Document(
    "heading", "train/lora#settings", "Which settings matter", context="What LoRA changes", area="train"
)
TERM = Document("term", "epoch", "Epoch", summary="One pass over the training examples.")
SECRET = Document("decision", "7", "D-7 Tune the triage model", text="Confidential rank experiment", group="use_case:1")


@pytest.fixture
def index() -> SearchIndex:
    made = SearchIndex()
    made.replace({"lora": [LORA, SETTINGS], "data": [DATA], "terms": [TERM], "decision:7": [SECRET]})
    return made


@pytest.fixture(scope="module")
def real() -> SearchIndex:
    made = SearchIndex()
    changed, _ = changed_documents(load_library(CONTENT), {})
    made.replace(changed)
    return made


def keys(results: Results) -> list[str]:
    return [f"{hit.kind}:{hit.key}" for hit in results.hits]


def plain(parts: tuple[Part, ...]) -> str:
    return "".join(f"[{part.text}]" if part.marked else part.text for part in parts)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("lora", ["article:train/lora"]),
        ("lor", ["article:train/lora"]),
        ("LORA", ["article:train/lora"]),
        ("parameter training", ["article:train/lora"]),
        ("overfit", ["article:data/how-much"]),
        ("finetuning", ["article:data/how-much"]),
        ("adapter", ["article:train/lora"]),
        ("settings", ["heading:train/lora#settings", "article:train/lora"]),
        ("lora settings", ["article:train/lora", "heading:train/lora#settings"]),
        ("epo", ["term:epoch"]),
    ],
)
def test_words_are_found_by_beginning_stem_and_compound(index: SearchIndex, query: str, found: list[str]) -> None:
    results = index.search(query, EVERYBODY)
    assert (results.care, sorted(keys(results))) == (Care.EXACT, sorted(found))


@pytest.mark.parametrize("query", ["paramters", "learnign rate", "matrixces beside", "valdation split", "xalidation"])
def test_one_typo_is_forgiven(index: SearchIndex, query: str) -> None:
    results = index.search(query, EVERYBODY)
    assert (results.care, results.total) == (Care.TYPO, 1)


def test_all_words_must_match_so_that_more_words_find_less(index: SearchIndex) -> None:
    assert keys(index.search("examples validation", EVERYBODY)) == ["article:data/how-much"]
    assert keys(index.search("examples zebra", EVERYBODY)) == []


def test_one_word_in_three_may_be_missing_when_nothing_holds_all(index: SearchIndex) -> None:
    results = index.search("rank parameters zebra", EVERYBODY)
    assert (results.care, keys(results)) == (Care.SOME, ["article:train/lora"])


def test_a_title_that_begins_as_typed_comes_first_whatever_else_says_the_words_more_often() -> None:
    chatty = Document("article", "train/qlora", "QLoRA or LoRA?", text="What LoRA may change, what LoRA changed. " * 9)
    made = SearchIndex()
    made.replace({"lora": [LORA], "chatty": [chatty]})

    assert keys(made.search("what lora chan", EVERYBODY)) == ["article:train/lora", "article:train/qlora"]


def test_a_title_counts_more_than_text(index: SearchIndex) -> None:
    index.replace({"other": [Document("article", "a/b", "Rank", text="nothing else")]})
    assert keys(index.search("rank", EVERYBODY)) == ["article:a/b", "article:train/lora"]


def test_what_belongs_to_another_group_is_neither_found_nor_counted_nor_suggested(index: SearchIndex) -> None:
    for query in ("triage", "confidential", "confidentail", "D-7", "D-7 Tune the triage model", "rank"):
        results = index.search(query, EVERYBODY)
        assert "decision:7" not in keys(results)
        assert "decision" not in index.kinds(results, EVERYBODY)
        assert [hit.key for hit in index.nearest(query, EVERYBODY) if hit.kind == "decision"] == []
    member = Filters(groups=(PUBLIC, "use_case:1"))
    assert keys(index.search("confidential", member)) == ["decision:7"]


def test_a_group_may_be_empty(index: SearchIndex) -> None:
    assert index.search("lora", Filters(groups=())).total == 0


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(groups=(PUBLIC,), kind="term"), ["term:epoch"]),
        (Filters(groups=(PUBLIC,), area="data"), ["article:data/how-much"]),
        (Filters(groups=(PUBLIC,), tag="adapters"), []),
    ],
)
def test_filters_narrow_the_results(index: SearchIndex, filters: Filters, found: list[str]) -> None:
    assert keys(index.search("examples", filters)) == found


def test_kinds_are_counted_whatever_kind_is_chosen(index: SearchIndex) -> None:
    chosen = Filters(groups=(PUBLIC,), kind="term")
    assert index.kinds(index.search("examples", chosen), chosen) == {"article": 1, "term": 1}


def test_the_snippet_is_the_stretch_with_the_words_and_marks_them(index: SearchIndex) -> None:
    hit = index.search("learning rates", EVERYBODY).hits[0]
    assert plain(hit.title) == "What LoRA changes"
    assert plain(hit.snippet) == (
        "The rank decides how many parameters are trained. A [learning] [rate] ten times higher is usual."
    )


def test_a_typo_is_marked_too(index: SearchIndex) -> None:
    assert "A [learning] [rate] ten" in plain(index.search("learnign rate", EVERYBODY).hits[0].snippet)


def test_markup_in_a_text_stays_text() -> None:
    made = SearchIndex()
    made.replace({"x": [Document("article", "x/y", "<script>alert(1)</script>", text="<b>rank</b> & more")]})
    hit = made.search("rank", EVERYBODY).hits[0]
    assert hit.title == (Part("<script>alert(1)</script>", False),)
    assert hit.snippet == (Part("<b>", False), Part("rank", True), Part("</b> & more", False))


def test_a_long_text_is_cut_around_the_words() -> None:
    made = SearchIndex()
    made.replace(
        {"x": [Document("article", "x/y", "Long", text="filler " * 500 + "the needle stands here " + "filler " * 500)]}
    )
    shown = plain(made.search("needle", EVERYBODY).hits[0].snippet)
    assert shown.startswith("… ")
    assert shown.endswith(" …")
    assert "[needle]" in shown
    assert len(shown) < SNIPPET_CHARACTERS + 20


def test_a_source_is_replaced_as_a_whole(index: SearchIndex) -> None:
    index.replace({"lora": [Document("article", "train/lora", "Renamed")], "data": []})
    assert keys(index.search("settings", EVERYBODY)) == []
    assert keys(index.search("data", EVERYBODY)) == []
    assert keys(index.search("renamed", EVERYBODY)) == ["article:train/lora"]


def test_only_changed_articles_are_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "articles/train"
    folder.mkdir(parents=True)
    front = "---\ntitle: {}\nsummary: One.\nowner: Alice\nreviewed: 2026-11-01\n---\nText.\n"
    (folder / "one.md").write_text(front.format("One"))
    (folder / "two.md").write_text(front.format("Two"))
    _, known = changed_documents(load_library(tmp_path), {})
    (folder / "one.md").write_text(front.format("Uno"))
    (folder / "two.md").unlink()
    changed, now = changed_documents(load_library(tmp_path), known)
    assert {path: [document.title for document in documents] for path, documents in changed.items()} == {
        "articles/train/one.md": ["Uno"],
        "articles/train/two.md": [],
    }
    assert "articles/train/two.md" not in now


def test_pages_follow_each_other(index: SearchIndex) -> None:
    whole = index.search("a", EVERYBODY, limit=10)
    first, second = (index.search("a", EVERYBODY, limit=1, offset=offset) for offset in (0, 1))
    assert keys(first) + keys(second) == keys(whole)[:2]
    assert first.total == second.total == whole.total


def test_nearest_offers_titles_that_look_alike(index: SearchIndex) -> None:
    assert [hit.key for hit in index.nearest("setings mater zzzz", EVERYBODY)][:1] == ["train/lora#settings"]


HOSTILE = [
    *(
        "",
        " ",
        '"',
        '"""',
        "'",
        "\x00",
        "a\x00b",
        "🎉",
        "👩‍🚀 rocket",
        "مرحبا",
        "שלום עולם",
        "\u202eabc",
        "日本語",
        "ﷺ" * 90,
    ),
    *(
        "AND OR NOT",
        "(",
        "[",
        ":",
        "title:lora",
        "lora AND",
        "-lora",
        "+lora",
        "lora~1",
        "lor*",
        "/lor.*/",
        "^",
        "\\",
        "%",
    ),
    *("'; DROP TABLE x; --", "<script>", "{{ 7 }}", "a" * 20_000, "ab " * 7_000, '"' * 20_000, "\ud800", "é" * 300),
    *("İstanbul", "ß", "ﬁne tuning", "1", "0.5", "--", "__", "\t\n", "[* TO *]", "kind:decision", "group:use_case"),
]


@pytest.mark.parametrize("query", HOSTILE, ids=lambda query: repr(query[:20]))
def test_every_string_is_a_query(real: SearchIndex, query: str) -> None:
    results = real.search(query, EVERYBODY)
    assert len(results.hits) <= results.total
    assert isinstance(real.nearest(query, EVERYBODY), tuple)
    assert isinstance(real.kinds(results, EVERYBODY), dict)


def test_a_thousand_random_strings_are_queries(real: SearchIndex) -> None:
    chance = random.Random(7)  # noqa: S311 - the same strings in every run
    alphabet = [
        *"abcdefghijklmnopqrstuvwxyz    \"'()[]{}*?~^:\\/+-!&|<>.,;0123456789",
        "\x00",
        "é",
        "ß",
        "🎉",
        "ש",
        "\u0301",
    ]
    for _ in range(1_000):
        query = "".join(chance.choices(alphabet, k=chance.randint(0, 60)))
        results = real.search(query, EVERYBODY, limit=5)
        for hit in results.hits:
            assert "".join(part.text for part in hit.title).strip(), query


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("what is fine tuning", "article:start-here/what-is-fine-tuning"),
        ("finetuning", "article:"),
        ("lora", "term:lora"),
        ("lora rank", "term:rank"),
        ("how much data", "article:data/how-much-data-is-enough"),
        ("test set", "article:evaluate/why-hold-out-a-test-set"),
        ("hold out", "article:evaluate/why-hold-out-a-test-set"),
        ("prompt or tune", "article:decide/prompt-retrieve-or-tune"),
        ("what lora changes", "article:train/what-lora-changes"),
        ("when does tuning pay", "article:decide/when-fine-tuning-pays-off"),
        ("should we fine-tune", "checklist:should-we-fine-tune"),
        ("shold we fine tune", "checklist:should-we-fine-tune"),
        ("smollm2", "base_model:"),
        ("catastrophic forgeting", "term:catastrophic-forgetting"),
        ("overfitting", "term:overfitting"),
        ("base model", "term:base-model"),
        ("adapter", "term:adapter"),
        ("good exampel", "article:data/what-a-good-example-looks-like"),
        ("keep model healthy", "article:operate/keep-a-tuned-model-healthy"),
        ("does not pay", "article:decide/when-fine-tuning-does-not-pay"),
    ],
)
def test_twenty_questions_have_the_right_page_among_the_first_three(real: SearchIndex, query: str, first: str) -> None:
    """Of the real content, which grows: an equally good page may come before it."""
    assert any(key.startswith(first) for key in keys(real.search(query, EVERYBODY))[:3])


def test_related_articles_share_a_subject_and_leave_the_article_itself_out(real: SearchIndex) -> None:
    found = real.related("decide/when-fine-tuning-pays-off", limit=3)
    assert len(found) == 3
    assert "decide/when-fine-tuning-pays-off" not in found
    assert real.related("no/such-article") == ()
