"""Each check counts all rows that it concerns and names the first of them by split, row and line."""

import json
from unicodedata import normalize

import pytest

from playbook.contracts.dataset import Split
from playbook.datasets.checks import CHECKS
from playbook.datasets.private import find_private
from playbook.datasets.spec import Balance, Check, Report, SplitPlan
from tests.datasets.conftest import Importing, chat, codes, found, jsonl, rows_of, three

LONG = "the parcel was left at the wrong door and the driver did not ring although somebody was at home all day long"


def check(report: Report, code: str) -> Check:
    return next(check for check in report.checks if check.code == code)


def lines(report: Report, code: str) -> list[list[int]]:
    """Return the lines of the rows behind a check, group by group."""
    return [[ref.line for ref in group.rows] for group in check(report, code).groups]


def test_clean_rows_are_checked_by_every_check_and_found_clean(importing: Importing) -> None:
    report = importing(("rows.jsonl", jsonl(rows_of(20))))
    assert tuple(check.code for check in report.checks) == tuple(CHECKS)
    assert found(report) == {}


def test_exact_duplicates_are_counted_beyond_the_first_case_and_white_space_aside(importing: Importing) -> None:
    rows = [*rows_of(6), chat("Same  thing", "Yes"), chat("same thing", "yes"), chat("same\nthing", "YES")]
    report = importing(("rows.jsonl", jsonl(rows)))
    assert found(report) == {"duplicate": 2}
    assert lines(report, "duplicate") == [[7, 8, 9]]


def test_letters_whose_marks_stand_apart_are_the_same_letters(importing: Importing) -> None:
    """As files written on another system have them: a test row would be no repetition of the train row that it is."""
    asked = "Hat das Café in Köln geöffnet?"
    report = importing(("rows.jsonl", jsonl([chat(asked, "ja"), chat(normalize("NFD", asked), "ja"), *rows_of(5)])))
    assert found(report) == {"duplicate": 1}
    three_files = three([chat(asked, "ja"), *rows_of(2)], [chat(normalize("NFD", asked), "ja"), *rows_of(1, word="t")])
    assert codes(importing(*three_files)) == {"row_in_train_and_test": 1}


def test_near_duplicates_are_found_and_exact_ones_are_not_counted_again(importing: Importing) -> None:
    words = [f"word{n}" for n in range(60)]
    rows = [*rows_of(6), chat(" ".join(words), "yes"), chat(" ".join([*words, "more"]), "yes"), chat(LONG, "no")]
    report = importing(("rows.jsonl", jsonl([*rows, rows[-1]])))
    assert check(report, "near_duplicate").rows == 1
    assert lines(report, "near_duplicate") == [[7, 8]]
    assert found(report)["duplicate"] == 1


def test_rows_with_half_their_words_in_common_are_not_near_duplicates(importing: Importing) -> None:
    words = [f"word{n}" for n in range(40)]
    rows = [chat(" ".join(words), "yes"), chat(" ".join(words[:20] + [f"other{n}" for n in range(20)]), "yes")]
    assert "near_duplicate" not in found(importing(("rows.jsonl", jsonl([*rows_of(6), *rows]))))


def test_many_pairs_of_near_duplicates_are_all_found(importing: Importing) -> None:
    rows = []
    for n in range(300):
        words = [f"w{n}x{m}" for m in range(50)]
        rows += [chat(" ".join(words), "yes"), chat(" ".join([*words[:-1], "end"]), "yes")]
    assert check(importing(("rows.jsonl", jsonl(rows))), "near_duplicate").rows == 300


def test_thirteen_shared_words_and_near_duplicates_across_train_and_test_are_told(importing: Importing) -> None:
    train = [*rows_of(3), chat(LONG, "yes"), chat("first " + LONG + " and that was the end of it", "no")]
    test = [*rows_of(2, word="other"), chat("quite another beginning, but " + " ".join(LONG.split()[:13]), "no")]
    report = importing(*three(train, [*test, chat(LONG + " x", "yes")]))
    assert check(report, "overlap_13").rows == 2
    assert [(ref.split, ref.row) for ref in check(report, "overlap_13").groups[0].rows] == [("test", 3), ("train", 4)]
    assert check(report, "overlap_near").rows == 1
    assert [[(ref.split, ref.row) for ref in group.rows] for group in check(report, "overlap_near").groups] == [
        [("test", 4), ("train", 4)]
    ]
    assert check(report, "overlap_exact").rows == 0


def test_twelve_shared_words_are_no_overlap_and_runs_do_not_cross_rows(importing: Importing) -> None:
    words = LONG.split()
    train = [chat(" ".join(words[:12]), "yes"), chat(" ".join(words[12:18]), "no")]
    test = [chat("new " + " ".join(words[:12]), "a"), *rows_of(1)]
    assert check(importing(*three(train, test)), "overlap_13").rows == 0


def test_conflicting_answers_show_one_row_of_each_answer(importing: Importing) -> None:
    rows = [*rows_of(6), chat("q", "one"), chat("Q", "two"), chat("q", "ONE")]
    report = importing(("rows.jsonl", jsonl(rows)))
    assert check(report, "conflict").rows == 3
    assert lines(report, "conflict") == [[7, 8]]
    assert check(report, "conflict").groups[0].note == "2 different answers in 3 rows"


@pytest.mark.parametrize("answer", ["-", "…", "n/a", "N / A.", "null", "TODO", "(empty)", "???"])
def test_answers_that_say_nothing_are_warned_of(importing: Importing, answer: str) -> None:
    report = importing(("rows.jsonl", jsonl([*rows_of(20), chat("what is it?", answer)])))

    assert check(report, "empty_answer").rows == 1
    assert check(report, "empty_answer").groups[0].note == answer


@pytest.mark.parametrize("answer", ["none", "no", "0", "7", "null pointer", "{}x", "да", "东", "👍", "+"])
def test_short_answers_that_say_something_are_not(importing: Importing, answer: str) -> None:
    report = importing(("rows.jsonl", jsonl([*rows_of(20), chat("what is it?", answer)])))

    assert check(report, "empty_answer").rows == 0


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "As an AI language model, I have no opinion.",
        "I cannot assist with this request.",
        "Sorry, I am unable to do that",
        "I’m not able to help with this.",
        "I won't be able to provide that.",
        "I must decline.",
        "Es tut mir leid, aber dabei kann ich nicht helfen.",
        "İ CANNOT ASSIST WITH THIS",
        "I'm just an AI",
        "Damit kann ich dir leider nicht helfen.",
        "Je suis désolé, mais je ne peux pas.",
        "Lo siento, pero no puedo",
        "I apologize but no",
        "As a large language model I do not",
        "I'll have to refuse",
        "Ich kann dabei leider nicht helfen.",
        "Tut mir leid, das kann ich nicht beantworten.",
        "Je ne peux pas vous aider avec cela.",
        "No puedo ayudarte con eso.",
        "Non posso aiutarti.",
        "Leider kann ich Ihnen dabei nicht weiterhelfen.",
        "Ich bin leider nicht in der Lage, das zu tun.",
        "Als KI-Sprachmodell habe ich keine Meinung.",
        "Désolé, je ne peux pas vous le dire.",
        "Je ne suis pas en mesure de répondre.",
        "Como modelo de lenguaje, no tengo opiniones.",
        "很抱歉，我无法回答这个问题。",
        "作为一个人工智能，我没有感情。",
        "申し訳ありませんが、お答えできません。",
    ],
)
def test_refusals_are_counted(importing: Importing, answer: str) -> None:
    report = importing(("rows.jsonl", jsonl([*rows_of(6), chat("do it", answer)])))
    assert found(report) == {"refusal": 1}
    assert lines(report, "refusal") == [[7]]


@pytest.mark.parametrize(
    "answer",
    [
        "Als Kind war ich oft hier.",
        "Ich kann das Paket nicht finden.",
        "Das tut mir leid, der Fahrer kommt morgen.",
        "Non posso che ringraziare.",
    ],
)
def test_what_only_begins_like_a_refusal_is_none(importing: Importing, answer: str) -> None:
    assert found(importing(("rows.jsonl", jsonl([*rows_of(5), chat("a question", answer)])))) == {}


def test_an_apology_of_a_help_desk_is_no_refusal(importing: Importing) -> None:
    said = (
        "I am sorry that your parcel is late. It comes tomorrow. I can help with the forms, and you must decline ads."
    )
    rows = [*rows_of(6), chat("late", said)]
    assert "refusal" not in found(importing(("rows.jsonl", jsonl(rows))))


def test_secrets_and_personal_data_are_named_but_not_repeated(importing: Importing) -> None:
    key = "AKIA" + "Q" * 16
    report = importing(("rows.jsonl", jsonl([*rows_of(6), chat(f"key {key}, mail ada@example.org", "ok")])))
    assert found(report) == {"secret": 1, "personal": 1}
    assert [check(report, code).groups[0].note for code in ("secret", "personal")] == [
        "AWS access key: AK…",
        "email address: ad…",
    ]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("call +49 30 1234567 now", ["phone number"]),
        ("card 4111 1111 1111 1111", ["card number"]),
        ("card 4111 1111 1111 1112", []),
        ("order 3000000000000 and 12345678901234", []),
        ("IBAN DE89 3704 0044 0532 0130 00", ["IBAN"]),
        ("IBAN DE89 3704 0044 0532 0130 01", []),
        ("-----BEGIN RSA PRIVATE KEY-----", ["private key"]),
        ("token ghp_" + "a1" * 20, ["GitHub token"]),
        ("sk-" + "abc123" * 5, ["API key"]),
        ("password = hunter2hunter2", ["password"]),
        ("sk-learn-contrib-package-name-x", []),
        ("sk_live_" + "4eC39HqL" * 3, ["Stripe key"]),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", ["password"]),
        ('{"password": "hunter22"}', ["password"]),
        ("Authorization: Bearer " + "abc123" * 5, ["bearer token"]),
        ("postgres://app:pa55word@db/app", ["password in an address"]),
        ("https://hooks.slack.com/services/T0/B0/abc", ["Slack webhook"]),
        ("npm_" + "a1" * 18, ["npm token"]),
        ("SG." + "a1" * 11 + "." + "b2" * 21, ["SendGrid key"]),
        ("password: string, api_key: str, secret = None", []),
        ("def f(password: Optional[str]) -> None:", []),
        ("iban de89 3704 0044 0532 0130 00", ["IBAN"]),
        ("write to ada@münchen.example", ["email address"]),
        ("(555) 123-4567 or 555-123-4567", ["phone number", "phone number"]),
        ("+1 (202) 555-0143", ["phone number"]),
        ("0171 1234567 or 030 / 1234567", ["phone number", "phone number"]),
        ("social 123-45-6789", ["social security number"]),
        ("ISBN 978-3-16-148410-0, order 100200300400500, 48.8566 +2.3522", []),
        ("git 3f786850e387550fdab836ed7e6dc881de23001b, 550e8400-e29b-41d4-a716-446655440000", []),
        ("The password is in the drawer at 12:30, 3 + 4 = 7.", []),
        ("2026-11-25 08:00:00 version 1.2.3.4.5.6.7", []),
        ("İZ12 3456 7890 1234, ſe12 3456 7890 1234", []),
        ("020 7946 0958 or 06 12 34 56 78 or 044 668 18 00", ["phone number"] * 3),
        ("0151 2345 6789 or (030) 12345678 or 0049 151 23456789", ["phone number"] * 3),
        ("from 0.12 to 0.34, 001 002 003 004, 0012345678, 05.04.2026", []),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----", ["private key"]),
        ("GOCSPX-" + "a1" * 12 + " dckr_pat_" + "a1" * 12, ["Google client secret", "Docker token"]),
        ("xapp-1-A0" + "b1" * 20 + " gsk_" + "a1" * 26 + " hvs." + "c3" * 40, ["Slack token", "API key", "API key"]),
        ("password is Hunter22x, Kennwort lautet Sommer2024", ["password", "password"]),
        ("mot de passe : Soleil2024!, contraseña: Verano24", ["password", "password"]),
        ('{"access_token": "' + "a1" * 16 + '"}', ["password"]),
        ("The password is case-sensitive! Its secret is that access token: the door.", []),
        ("1-800-555-0199 or 090-1234-5678 or 06-12345678", ["phone number"] * 3),
        ("+49\u00a0170\u202f1234567, DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000", ["phone number", "IBAN"]),
        ("2221 0000 0000 0009, 3782 822463 10005, 5555\u00a05555\u20115555\u00a04444", ["card number"] * 3),
        ("ES91 2100 0418 4502 0005 1332 und AT61 1904 3002 3457 3201 bitte sehr", ["IBAN", "IBAN"]),
        ("fe0905ab77f4a8516067c857b590de50, icon@2x.png, PASSWORD=$PASSWORD2, secret = f.randint(1)", []),
        ("[0.2288487003037288, 0,4099273201520167], order 624-1690839-2311322", []),
        ("EAN 4006381333931, order 6331101999990, 4222222222222", []),
        ("write to müller@example.org, clone git@example.org:a/b", ["email address"]),
    ],
)
def test_private_patterns(text: str, kinds: list[str]) -> None:
    assert [note.partition(":")[0] for _, _, note in find_private([text])] == kinds


def test_private_data_is_found_in_the_text_that_holds_it(importing: Importing) -> None:
    """Texts are looked at together first, and digits with nothing but marks between them may not meet across two."""
    texts = ["call +49 30", "1234567", "write to ada@example.org", "call +4٩ ٣٠ ١٢٣٤٥٦٧", "nothing"]
    assert list(find_private(texts)) == [(2, False, "email address: ad…"), (3, False, "phone number: +4…")]
    rows = [*rows_of(2_100), chat("key AKIA" + "Q" * 16, "write to eve@example.org"), *rows_of(100, word="more")]
    report = importing(("rows.jsonl", jsonl(rows)))
    assert {code: lines(report, code) for code in found(report)} == {"secret": [[2_101]], "personal": [[2_101]]}


def test_a_key_in_a_call_of_a_tool_is_found(importing: Importing) -> None:
    function = {"name": "send", "arguments": {"to": "ada@example.org", "key": "AKIA" + "Q" * 16}}
    row = chat("send it", "")
    row["messages"][1]["tool_calls"] = [{"type": "function", "function": function}]  # type: ignore[index]
    report = importing(("rows.jsonl", jsonl([*rows_of(6), row])))
    assert found(report) == {"secret": 1, "personal": 1, "tools": 1}


def test_class_balance_counts_whole_answers_and_fields_of_json_by_split(importing: Importing) -> None:
    train = [chat(f"t{n}", json.dumps({"issue": "late" if n % 3 else "lost", "id": n})) for n in range(60)]
    report = importing(*three(train, [chat("x", '{"issue": "late", "id": 99}')]))
    assert report.balances == (
        Balance(
            field="issue",
            counts=(
                ("late", {Split.TRAIN: 40, Split.VALIDATION: 0, Split.TEST: 1}),
                ("lost", {Split.TRAIN: 20, Split.VALIDATION: 0, Split.TEST: 0}),
            ),
        ),
    )
    labels = importing(("rows.jsonl", jsonl([chat(f"t{n}", "yes" if n % 2 else "no") for n in range(10)])))
    assert [(balance.field, [value for value, _ in balance.counts]) for balance in labels.balances] == [
        ("answer", ["no", "yes"])
    ]


def test_fields_of_the_answer_come_before_whole_answers_that_look_alike(importing: Importing) -> None:
    answers = [json.dumps({"item": "lamp", "issue": "late" if n % 2 else "lost"}) for n in range(12)]
    report = importing(("rows.jsonl", jsonl([chat(f"t{n}", answer) for n, answer in enumerate(answers)])))
    assert [balance.field for balance in report.balances] == ["issue", "answer"]


def test_hundreds_of_intents_are_classes_and_numbers_that_repeat_are_none(importing: Importing) -> None:
    intents = [chat(f"t{n}", f"intent {n % 150}") for n in range(1_500)]
    (balance,) = importing(("rows.jsonl", jsonl(intents))).balances
    assert {sum(counts.values()) for _, counts in balance.counts} == {10}
    assert len(balance.counts) == 150
    prices = [chat(f"t{n}", f"{n % 150} euros") for n in range(600)]
    assert importing(("rows.jsonl", jsonl(prices))).balances == ()


def test_a_class_without_a_row_in_test_or_in_train_is_told_with_its_rows(importing: Importing) -> None:
    train = [chat(f"t{n}", json.dumps({"issue": "lost" if n < 3 else "late"})) for n in range(9)]
    test = [chat("x", '{"issue": "late"}'), chat("y", '{"issue": "broken"}')]

    report = importing(*three(train, test))

    gap = check(report, "class_gap")
    assert gap.rows == 5  # the row of validation, too, has an answer of its own
    assert [(group.note, [(ref.split, ref.line) for ref in group.rows]) for group in gap.groups] == [
        ("issue “lost”: 3 train, 0 validation, 0 test", [("train", line) for line in (1, 2, 3)]),
        ("issue “broken”: 0 train, 0 validation, 1 test", [("test", 2)]),
        ("the answer “answer0 e0”: 0 train, 1 validation, 0 test", [("validation", 1)]),
    ]


def test_a_rare_label_that_the_lot_keeps_out_of_test_is_told(importing: Importing) -> None:
    rows = [chat(f"t{n}", "rare" if n == 0 else "often") for n in range(60)]
    told = {}
    for seed in range(40):
        report = importing(("rows.jsonl", jsonl(rows)), plan=SplitPlan(seed=seed))
        in_test = dict(report.balances[0].counts)["rare"][Split.TEST]
        told[in_test] = [group.note.rpartition(", ")[2] for group in check(report, "class_gap").groups]
    assert told == {0: ["0 test"], 1: ["1 test"]}


def test_classes_that_test_and_train_both_have_are_no_gap(importing: Importing) -> None:
    train = [chat(f"t{n}", "yes" if n % 2 else "no") for n in range(20)]
    report = importing(*three(train, [chat("x", "yes"), chat("y", "no")]))
    assert [group.note for group in check(report, "class_gap").groups] == [
        "the answer “answer0 e0”: 0 train, 1 validation, 0 test"
    ]


def test_rows_of_each_class_and_the_ends_of_the_lengths_can_be_opened(importing: Importing) -> None:
    rows = [chat("x" * n + str(n), "yes" if n % 2 else "no") for n in range(1, 21)]

    report = importing(("rows.jsonl", jsonl(rows)))

    of_class = {group.note.partition(":")[0]: group.rows for group in check(report, "class").groups}
    assert {name: [ref.line for ref in refs] for name, refs in of_class.items()} == {
        "the answer “yes”": [1, 3, 5, 7, 9],
        "the answer “no”": [2, 4, 6, 8, 10],
    }
    ends = {group.note: [ref.line for ref in group.rows] for group in check(report, "length").groups}
    assert ends == {
        "The longest prompts: 18 to 22 characters": [20, 19, 18, 17, 16],
        "The shortest prompts: 2 to 6 characters": [1, 2, 3, 4, 5],
        "The longest answers: 3 to 3 characters": [19, 17, 15, 13, 11],
        "The shortest answers: 2 to 2 characters": [2, 4, 6, 8, 10],
    }


def test_lengths_are_counted_in_bins(importing: Importing) -> None:
    report = importing(("rows.jsonl", jsonl([chat("x" * n + str(n), "y") for n in range(1, 101)])))
    prompt, answer = report.histograms
    assert (prompt.name, sum(prompt.counts), prompt.largest) == ("prompt", 100, 103)
    assert (answer.name, answer.counts, answer.median, answer.largest) == ("answer", (0, 100), 1.0, 1)


def test_templates_of_train_and_test_are_compared(importing: Importing) -> None:
    def row(n: int, template: str) -> dict[str, object]:
        return chat(f"t{n}", f"a{n}", metadata={"template": template})

    report = importing(*three([row(1, "a"), row(2, "b")], [row(3, "b"), row(4, "c")]))
    assert (report.shared_templates, report.test_templates) == (1, 2)
    report = importing(*three([row(1, "a"), chat("t2", "x")], [row(3, "b")]))
    assert (report.shared_templates, report.test_templates) == (None, 1)


def test_the_same_file_gives_the_same_report(importing: Importing) -> None:
    content = jsonl([*rows_of(40), *rows_of(3), chat(LONG, "a"), chat(LONG + " x", "b")])
    first = importing(("rows.jsonl", content), plan=SplitPlan(seed=5))
    assert importing(("rows.jsonl", content), plan=SplitPlan(seed=5)) == first
