"""Bad tables: what is wrong in a CSV or Parquet file is named, and takes nothing else with it."""

import base64
import csv
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.parquet import encryption

from tests.datasets.conftest import Importing, found, parquet
from tests.datasets.test_bad_files import only


def test_a_header_that_is_not_utf8_is_not_taken_from_the_next_line(importing: Importing) -> None:
    code, line, field, value = only(importing(("rows.csv", "prömpt,completion\nprompt,completion\n".encode("latin-1"))))
    assert (code, line, field, value[:7]) == ("not_utf8", 1, "row", "b'\\xf6m")


def test_delimiters_inside_quotes_are_text(importing: Importing) -> None:
    report = importing(("rows.csv", b'"prompt";"answer";"note, in words, at length"\na;b;c\nd;e;f\ng;h;i\n'))
    assert report.sources[0].columns == ("prompt", "answer", "note, in words, at length")
    assert report.rows == 3


def test_a_row_with_broken_quotes_does_not_hide_the_next(importing: Importing) -> None:
    content = b'prompt,completion\na,b\n"c" d,e\nf,g\n"h \\"i\\"",j\nk,l\n\xff,m\n'
    report = importing(("rows.csv", content))
    assert [(found.code, found.line) for group in report.groups for found in group.listed] == [
        ("broken_quotes", 3),
        ("broken_quotes", 5),
        ("not_utf8", 7),
    ]
    assert (report.rows, report.left_out, report.is_broken) == (3, 3, False)


def test_equal_names_of_columns_in_parquet_are_refused(importing: Importing) -> None:
    column = pa.array(["a", "b", "c"])
    table = pa.Table.from_arrays([column] * 3, names=["prompt", "prompt", "completion"])
    assert only(importing(("rows.parquet", parquet(table))))[3] == "two columns named prompt"


class _Keys(encryption.KmsClient):  # type: ignore[misc]  # pyarrow has no types
    """Hands keys out as they are: what is encrypted is no secret."""

    def __init__(self, _: object) -> None:
        super().__init__()

    def wrap_key(self, key: bytes, _: str) -> bytes:
        return base64.b64encode(key)

    def unwrap_key(self, key: bytes, _: str) -> bytes:
        return base64.b64decode(key)


@pytest.mark.parametrize("is_footer_plain", [True, False])
def test_an_encrypted_parquet_is_refused(importing: Importing, is_footer_plain: bool) -> None:
    """Arrow ends the whole process when it is asked for the size of an encrypted column."""
    settings = encryption.EncryptionConfiguration("foot", column_keys={"key": ["completion"]})
    settings.plaintext_footer = is_footer_plain
    properties = encryption.CryptoFactory(_Keys).file_encryption_properties(encryption.KmsConnectionConfig(), settings)
    table, out = pa.table({"prompt": ["a"], "completion": ["b"]}), io.BytesIO()
    with pq.ParquetWriter(out, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    assert only(importing(("rows.parquet", out.getvalue())))[3] == "an encrypted Parquet file"


@pytest.mark.parametrize(
    ("cell", "is_formula"),
    [
        ("=1+1", True),
        ("=$A$1", True),
        ("=(A1+B2)", True),
        ('="a"&B1', True),
        ("-2+3+cmd|' /C calc'!A0", True),
        ("\t=SUM(A1)", True),
        ("=> next", False),
        ("= 5", False),
        ("=D nice", False),
        ("-2 degrees", False),
        ("@ada wrote", False),
        ("== title ==", False),
    ],
)
def test_what_a_spreadsheet_would_compute_is_a_formula(importing: Importing, cell: str, is_formula: bool) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([["prompt", "completion"], [cell, "x"], ["a", "y"], ["b", "z"]])
    assert found(importing(("rows.csv", out.getvalue().encode()))) == ({"formula": 1} if is_formula else {})
