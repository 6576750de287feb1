"""BM25 over passages: what is found, in which order, and how documents are cut. Ours against the formula."""

import doctest
import hashlib
import json
import math
from pathlib import Path

import pytest

from playbook.contracts.documents import Document
from playbook.contracts.prompting import DocumentsFile
from playbook.contracts.states import EndReason
from playbook.trainer import retrieve
from playbook.trainer.errors import RunError
from playbook.trainer.folder import RunFolder
from playbook.trainer.retrieve import Passage, PassageIndex, WordIndex, cut, load_documents, words_of

TEXTS = [
    "The price of the Aster kettle is 89 euros.",
    "The price of the Birch lamp is 12 euros.",
    "The guarantee of the Aster kettle is 24 months.",
    "Opening hours: nine to five.",
]


def bm25(query: str, text: str) -> float:
    """The score by the formula: Robertson and Zaragoza 2009 with Lucene's idf, k1 1.5, b 0.75."""
    documents = [words_of(one) for one in TEXTS]
    mean = sum(map(len, documents)) / len(documents)
    words, score = words_of(text), 0.0
    for word in words_of(query):
        holding = sum(word in document for document in documents)
        idf = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
        count = words.count(word)
        score += idf * count / (count + 1.5 * (1 - 0.75 + 0.75 * len(words) / mean))
    return score


def test_the_examples_in_the_module_hold() -> None:
    assert doctest.testmod(retrieve).failed == 0


@pytest.mark.parametrize("query", ["What is the price of the Aster kettle?", "guarantee kettle", "hours", "the the is"])
def test_texts_are_ranked_by_bm25(query: str) -> None:
    scores = [bm25(query, text) for text in TEXTS]
    expected = sorted((at for at in range(len(TEXTS)) if scores[at] > 0), key=lambda at: -scores[at])
    assert WordIndex(TEXTS).nearest(query, 4) == expected


def test_what_shares_no_word_is_not_found_unless_asked_for() -> None:
    index = WordIndex(TEXTS)
    assert index.nearest("zebra", 2) == []
    assert index.nearest("zebra", 2, matching=False) == [0, 1]
    assert index.nearest("hours", 2, matching=False) == [3, 0]
    assert WordIndex(["?!", "..."]).nearest("a", 1) == []


def test_equally_good_texts_come_in_their_order() -> None:
    assert WordIndex(["same words", "other", "same words", "same words"]).nearest("same words", 2) == [0, 2]


def test_passages_are_found_by_title_and_text() -> None:
    passages = [Passage("a", "Refunds", "Within thirty days."), Passage("b", "", "Parcels take two days.")]
    found = PassageIndex(passages).find("When do refunds come?", 3)
    assert [passage.shown for passage in found] == ["Refunds: Within thirty days."]
    assert PassageIndex(passages).find("days parcels", 3)[0].shown == "Parcels take two days."


def test_documents_are_cut_at_sentence_ends() -> None:
    text = "One two three. Four five six.\n\nSeven eight nine ten eleven twelve"
    assert [passage.text for passage in cut([Document(id="a", title="T", text=text)], words=6)] == [
        "One two three. Four five six.",
        "Seven eight nine ten eleven twelve",
    ]
    assert [passage.text for passage in cut([Document(id="a", text=text)], words=4)] == [
        "One two three.",
        "Four five six.",
        "Seven eight nine ten",
        "eleven twelve",
    ]


def test_no_word_of_a_document_is_lost_or_moved() -> None:
    text = " ".join(f"w{n}{'.' if n % 7 == 0 else ''}" for n in range(500))
    passages = cut([Document(id="a", text=text)], words=30)
    assert " ".join(passage.text for passage in passages) == text
    assert max(len(passage.text.split()) for passage in passages) <= 30


def test_one_sentence_of_many_words_is_cut_in_passages_of_equal_length() -> None:
    words = [f"w{n}" for n in range(100_000)]
    passages = cut([Document(id="a", text=" ".join(words))], words=100)
    assert [passage.text for passage in passages] == [" ".join(words[at : at + 100]) for at in range(0, 100_000, 100)]


def test_a_needle_in_a_document_of_5_mb_is_found() -> None:
    sentence = "The value of this entry is not what anybody asks about here. "
    text = sentence * (5_000_000 // len(sentence)) + "The code of the vault is 4711."
    passages = cut([Document(id="big", text=text)], words=100)
    assert (
        PassageIndex(passages)
        .find("What is the code of the vault?", 1)[0]
        .text.endswith("The code of the vault is 4711.")
    )


@pytest.mark.parametrize("joint", ["", ",", "/"])
def test_a_word_without_end_is_cut_into_bounded_passages_and_what_stands_in_it_is_found(joint: str) -> None:
    text = joint.join(["abcdefghij"] * 5_000) + ",vault4711," + joint.join(["klmnopqrst"] * 5_000)
    passages = cut([Document(id="a", text=text)], words=20)
    assert "".join(passage.text for passage in passages) == text
    assert max(len(passage.text) for passage in passages) <= 20 * 41
    (found,) = PassageIndex(passages).find("Where is vault4711?", 3)
    assert "vault4711" in found.text


@pytest.mark.parametrize(
    ("filler", "needle", "question"),
    [
        ("这是一个没有人会问的句子。", "退款期限为收到商品后三十天。", "退款期限是多少天？"),
        ("これはだれも聞かない文です。", "保証期間は購入日から二年間です。", "保証期間はどのくらいですか？"),
        ("这是一个没有人会问的句子", "退款期限为三十天", "退款期限"),
        ("ประโยคนี้ไม่มีใครถาม", "ระยะเวลารับประกันสองปี", "ระยะเวลารับประกัน"),
    ],
)
def test_scripts_without_blanks_are_cut_and_found(filler: str, needle: str, question: str) -> None:
    text = filler * 400 + needle + filler * 400
    passages = cut([Document(id="a", text=text)], words=60)
    assert "".join(passage.text for passage in passages) == text
    assert max(len(passage.text) for passage in passages) <= 60 * 3
    assert needle[:4] in PassageIndex(passages).find(question, 1)[0].text


def test_dense_sentences_are_cut_at_their_ends_and_blanks_stay() -> None:
    text = "退款期限为三十天。 Refunds take 30 days. 运费由买家承担。请联系我们。"
    assert [passage.text for passage in cut([Document(id="a", text=text)], words=6)] == [
        "退款期限为三十天。",
        "Refunds take 30 days.",
        "运费由买家承担。",
        "请联系我们。",
    ]
    assert [passage.text for passage in cut([Document(id="a", text=text)], words=60)] == [text]


def documents_file(folder: Path, content: bytes) -> DocumentsFile:
    (folder / "inputs").mkdir()
    (folder / "inputs" / "documents.jsonl").write_bytes(content)
    return DocumentsFile(sha256=hashlib.sha256(content).hexdigest(), size_bytes=max(1, len(content)), documents=1)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "documents.jsonl: the file holds no document"), (b"{}\n", "documents.jsonl: line 1: id: Field required")],
)
def test_documents_that_cannot_be_used_end_the_run(tmp_path: Path, content: bytes, words: str) -> None:
    file = documents_file(tmp_path, content)
    with pytest.raises(RunError) as refused:
        load_documents(RunFolder(tmp_path), file)
    assert (refused.value.reason, words in refused.value.message) == (EndReason.INVALID_DATASET, True)


def test_documents_that_changed_or_are_gone_are_a_mismatch(tmp_path: Path) -> None:
    folder, content = RunFolder(tmp_path), json.dumps({"id": "a", "text": "x"}).encode()
    file = documents_file(tmp_path, content)
    assert load_documents(folder, file) == (Document(id="a", text="x"),)
    for damage in (lambda: folder.documents.write_bytes(content + b" "), folder.documents.unlink):
        damage()
        with pytest.raises(RunError) as refused:
            load_documents(folder, file)
        assert refused.value.reason is EndReason.INPUT_MISMATCH
