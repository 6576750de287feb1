"""The problems that a row, or a file of rows, can have: where, which field, which value, and how to mend it.

The names of the codes follow the OpenAI cookbook's data checks where one exists.
"""

import json
from enum import StrEnum

from playbook.contracts.model import Frozen


class ProblemCode(StrEnum):
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    DATA_TYPE = "data_type"
    LINE_TOO_LONG = "line_too_long"
    MISSING_MESSAGES_LIST = "missing_messages_list"
    MESSAGE_MISSING_KEY = "message_missing_key"
    MESSAGE_UNRECOGNIZED_KEY = "message_unrecognized_key"
    UNRECOGNIZED_ROLE = "unrecognized_role"
    MISSING_CONTENT = "missing_content"
    EXAMPLE_MISSING_ASSISTANT_MESSAGE = "example_missing_assistant_message"
    EMPTY_ANSWER = "empty_answer"
    ANSWER_NOT_LEARNED = "answer_not_learned"
    NO_EXAMPLES = "no_examples"
    # Of whole files and of formats other than chat; found before a row reaches this contract.
    MISSING_FIELD = "missing_field"
    WRONG_CELL_COUNT = "wrong_cell_count"
    BROKEN_QUOTES = "broken_quotes"
    UNKNOWN_FORMAT = "unknown_format"
    UNREADABLE_FILE = "unreadable_file"
    UNPACKS_TOO_LARGE = "unpacks_too_large"
    TOO_MANY_ROWS = "too_many_rows"
    ROW_IN_TRAIN_AND_TEST = "row_in_train_and_test"
    NO_TEST_ROWS = "no_test_rows"


class Problem(Frozen):
    """What is wrong with one line: where, which field, which value, and how to mend it."""

    line: int
    field: str
    value: str
    code: ProblemCode
    fix: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.value} ({self.code}). {self.fix}"


def as_text(value: object) -> str:
    """Return what is no text as JSON writes it; what JSON does not know, such as a date, as Python does."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return str(value)


def shown(value: object, *, limit: int = 80) -> str:
    """Return `value` as it stands in the file, shortened so that one bad line cannot fill a page."""
    text = value if isinstance(value, str) else as_text(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
