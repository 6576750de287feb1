"""Why an import refuses a file, or a row, as a whole: the problems that no single field of a row has."""

from playbook.contracts.dataset import MAX_LINE_BYTES, Split
from playbook.contracts.dataset_problems import Problem, ProblemCode, shown
from playbook.datasets.embedded import are_turns, as_list
from playbook.datasets.readers import Record
from playbook.datasets.spec import Mapping, Source


def _inner_lists(records: list[Record | Problem]) -> list[str]:
    """Return the fields that hold a list of objects: where the file is one object, the rows lie in one of them."""
    objects = [found.value for found in records if isinstance(found, Record) and isinstance(found.value, dict)]
    if len(objects) != 1:
        return []
    return [
        str(name)
        for name, value in objects[0].items()
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value) and not are_turns(value)
    ]


def _only_turns(records: list[Record | Problem]) -> str:
    """Return the one field that holds a conversation, "" where there are more, as in comparisons, or none."""
    objects = [found.value for found in records if isinstance(found, Record) and isinstance(found.value, dict)]
    lists = {str(name): as_list(value) for row in objects[:1] for name, value in row.items()}
    names = [name for name, value in lists.items() if isinstance(value, list) and value and are_turns(value)]
    return names[0] if len(names) == 1 else ""


def unknown_format(columns: tuple[str, ...], first: list[Record | Problem]) -> Problem:
    lists = _inner_lists(first)
    if lists:
        fix = f'The rows seem to lie in the list "{shown(lists[0])}": bring that list alone, as a JSON array.'
    elif turns := _only_turns(first):
        fix = f"No known format has these fields. Choose “{shown(turns)}” as the list of messages."
    elif columns:
        fix = "No known format has these fields. Choose which of them is the prompt and which the answer."
    else:
        fix = 'Make each row an object with named fields, such as {"prompt": "…", "completion": "…"}.'
    return Problem(
        line=0,
        field="file",
        value=shown(f"fields {', '.join(columns) or 'none'}"),
        code=ProblemCode.UNKNOWN_FORMAT,
        fix=fix,
    )


def of_columns(first: list[Record | Problem], mapping: Mapping) -> Problem | None:
    """Return why a file is refused that is one object of columns, as pandas writes a table unless told otherwise."""
    row = first[0].value if len(first) == 1 and isinstance(first[0], Record) else None
    columns = [row.get(name) for name in mapping.needed] if isinstance(row, dict) else []
    if not columns or not all(_is_column(column) for column in columns):
        return None
    return Problem(
        line=0,
        field="file",
        value=shown(row),
        code=ProblemCode.DATA_TYPE,
        fix="The file is one object of columns. Write one object for each row; pandas does so when it is told "
        'orient="records", lines=True.',
    )


def _is_column(value: object) -> bool:
    is_list = isinstance(value, list) and not any(isinstance(item, dict) for item in value)
    return bool(value) and (is_list or isinstance(value, dict))


def no_groups(field: str) -> Problem:
    return Problem(
        line=0,
        field=field,
        value="in no row",
        code=ProblemCode.MISSING_FIELD,
        fix="No row has the field that rows are kept together by. Choose another field, or none, and split again.",
    )


def no_rows(source: Source) -> Problem:
    why = " A job without test rows could prove nothing, so it cannot start." if source.split is Split.TEST else ""
    return Problem(
        line=0,
        field="file",
        value="no row",
        code=ProblemCode.NO_EXAMPLES,
        fix=f"Write one example a line, with a prompt and its answer.{why}",
    )


def too_much(line: int, room: int) -> Problem:
    return Problem(
        line=line,
        field="file",
        value=f"more than {room:,} bytes of rows",
        code=ProblemCode.UNPACKS_TOO_LARGE,
        fix="So small a file holds so much only by repeating the same values over and over; bring a sample of it.",
    )


def too_many(line: int, limit: int) -> Problem:
    return Problem(
        line=line,
        field="file",
        value=f"more than {limit:,} rows",
        code=ProblemCode.TOO_MANY_ROWS,
        fix=f"Bring at most {limit:,} rows, bad ones included; a sample teaches the same.",
    )


def too_long(line: int, length: int) -> Problem:
    return Problem(
        line=line,
        field="row",
        value=f"{length:,} bytes",
        code=ProblemCode.LINE_TOO_LONG,
        fix=f"Keep a row under {MAX_LINE_BYTES:,} bytes; no small model reads that much.",
    )
