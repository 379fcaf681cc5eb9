"""Benchmarks' items out of the files that people have them in."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson

from glan_dspy.errors import UserError

FIELDS = tuple(
    "question problem prompt query question_stem input instruction text sentence premise passage context ctx content "
    "stem goal title body task description".split()
)
"""Names that an item's text goes by, the surest first; choices and answers are no part of it."""

IDS = ("id", "task_id", "question_id", "problem_id", "uid", "qid", "unique_id", "idx", "index")

KNOWN = (".jsonl", ".ndjson", ".json", ".parquet", ".csv", ".tsv", ".txt")
_PACKED = ".gz"


class _Row(NamedTuple):
    number: int
    """A line of the file, or a row where lines do not matter; from 1."""
    value: Any


def read_benchmarks(paths: Sequence[Path], field: str | None = None) -> Iterator[tuple[str, str, str]]:
    """Benchmark, item and text of every item: `gsm8k_test`, `17` (its own id, or its row), the text.

    A file is one benchmark, named as the file; a folder gives every file below it that ends as one of KNOWN (also with
    `.gz`). `field` names the text, for a CSV without a header by its column's number; without it each row gives the
    first of FIELDS that it has. Rows whose text is empty are passed over. Raises UserError: at once for a path that
    is not there, while reading for what is wrong in a file.
    """
    return _items([file for path in paths for file in _files(path)], field)


def _files(path: Path) -> list[tuple[str, Path]]:
    """The names and files of one `--against`."""
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file() and _ending(file) in KNOWN)
        if not found:
            raise UserError(f"--against {path}: the folder holds no file that ends in {', '.join(KNOWN)}")
        return [(f"{path.resolve().name}/{_stem(file.relative_to(path).as_posix())}", file) for file in found]
    if not path.exists():
        raise UserError(f"--against {path}: there is no such file or folder")
    if _ending(path) not in KNOWN:
        raise UserError(f"--against {path}: unknown format; allowed endings are {', '.join(KNOWN)}, also with .gz")
    return [(_stem(path.name), path)]


def _stem(name: str) -> str:
    name = name.removesuffix(_PACKED)
    return name.rpartition(".")[0] or name


def _ending(path: Path) -> str:
    return Path(path.name.lower().removesuffix(_PACKED)).suffix


def _items(files: Iterable[tuple[str, Path]], field: str | None) -> Iterator[tuple[str, str, str]]:
    for name, path in files:
        read = _READERS[_ending(path)]
        seen = dict[str, None]()
        some = False
        try:
            for row in read(path, field):
                text, item = _text(row, field, seen)
                if text.strip():
                    some = True
                    yield name, item, text
        except OSError as error:  # gzip's too
            raise UserError(f"--against {path}: cannot read it ({error.strerror or error})") from None
        except (UnicodeDecodeError, EOFError) as error:
            raise UserError(f"--against {path}: cannot read it ({error}); it must be UTF-8 and whole") from None
        if not some:
            raise UserError(_nothing(path, field, list(seen)))


def _text(row: _Row, field: str | None, seen: dict[str, None]) -> tuple[str, str]:
    """Text and id of one row, "" where it has no text; notes the fields that it has."""
    value = row.value
    if isinstance(value, str):
        return value, str(row.number)
    seen.update(dict.fromkeys(value))
    own = next((value[key] for key in IDS if isinstance(value.get(key), str | int) and value[key] != ""), row.number)
    fields = (field,) if field is not None else FIELDS
    texts = (_spoken(_inside(value, key)) for key in fields)
    return next((text for text in texts if text.strip()), ""), str(own)


def _inside(row: dict[str, Any], field: str) -> Any:
    """The field's value; `question.stem` is the stem in the question."""
    if field in row or "." not in field:
        return row.get(field)
    first, _, rest = field.partition(".")
    inner = row.get(first)
    return _inside(inner, rest) if isinstance(inner, dict) else None


def _spoken(value: Any) -> str:
    """The text in a field: itself, or that of a list of turns, or of an object such as ARC's question."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(filter(None, map(_spoken, value)))
    if isinstance(value, dict):
        return next((text for key in (*FIELDS, "value") if (text := _spoken(value.get(key)))), "")
    return ""


def _nothing(path: Path, field: str | None, seen: list[str]) -> str:
    if not seen:
        return f"--against {path}: holds no items"
    there = f"the fields there are: {', '.join(seen[:20])}"
    if field is not None:
        return f'--against {path}: no row has text in "{field}" (--against-field); {there}'
    return f"--against {path}: no row has a field named as questions usually are; {there}; name it with --against-field"


def _open(path: Path) -> IO[str]:
    if path.name.lower().endswith(_PACKED):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _json_lines(path: Path, _: str | None) -> Iterator[_Row]:
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _row(number, _parsed(line, f"{path}, line {number}"), f"{path}, line {number}")


def _json(path: Path, _: str | None) -> Iterator[_Row]:
    with _open(path) as file:
        whole = _parsed(file.read(), str(path))
    for number, (own, value) in enumerate(_rows_of(whole, path), 1):
        row = _row(number, value, f"{path}, row {number}")
        yield row if own is None or isinstance(value, str) else _Row(number, {"id": own} | value)


def _rows_of(whole: Any, path: Path) -> list[tuple[str | None, Any]]:
    """A list, an object with one list in it ({"data": [...]}), or rows by their ids ({"q1": {...}})."""
    if isinstance(whole, dict):
        lists = [value for value in whole.values() if isinstance(value, list)]
        if not lists and all(isinstance(value, dict) for value in whole.values()):
            return list(whole.items())
        whole = lists[0] if len(lists) == 1 else None
    if not isinstance(whole, list):
        raise UserError(f"--against {path}: must hold a list of objects or of texts; JSONL does as well")
    return [(None, value) for value in whole]


def _parsed(text: str, where: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError as error:
        raise UserError(f"--against {where}: not JSON ({str(error).split(': line')[0]}); mend or delete it") from None


def _row(number: int, value: Any, where: str) -> _Row:
    if not isinstance(value, str | dict):
        raise UserError(f"--against {where}: must be an object or a text, and is {type(value).__name__}")
    return _Row(number, value)


def _table(delimiter: str) -> Callable[[Path, str | None], Iterator[_Row]]:
    def rows(path: Path, field: str | None) -> Iterator[_Row]:
        with _open(path) as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            try:
                head = next(reader, [])
                if field is not None and field.isdigit() and field not in head:  # no header: columns by number
                    yield _Row(1, _numbered(head))
                    head = []
                for number, cells in enumerate(reader, 2):
                    yield _Row(number, dict(zip(head, cells, strict=False)) if head else _numbered(cells))
            except csv.Error as error:
                raise UserError(f"--against {path}, line {reader.line_num}: {error}") from None

    return rows


def _numbered(cells: list[str]) -> dict[str, str]:
    return {str(number): cell for number, cell in enumerate(cells, 1)}


def _lines(path: Path, _: str | None) -> Iterator[_Row]:
    with _open(path) as file:
        for number, line in enumerate(file, 1):
            yield _Row(number, line)


def _parquet(path: Path, field: str | None) -> Iterator[_Row]:
    try:
        import pyarrow  # takes 0.1 s
        import pyarrow.parquet
    except ImportError:
        raise UserError(f"--against {path}: Parquet files need pyarrow: pip install pyarrow") from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            there = file.schema_arrow.names
            texts = {*FIELDS} if field is None else {field, field.partition(".")[0]}
            if texts.isdisjoint(there):
                yield _Row(1, dict.fromkeys(there))  # no text, and all the fields that a message lists
                return
            wanted = [name for name in there if name in texts or name in IDS]
            number = 0
            for batch in file.iter_batches(batch_size=1000, columns=wanted):
                for row in batch.to_pylist():
                    number += 1
                    yield _Row(number, row)
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"--against {path}: not a Parquet file ({error})") from None


_READERS: dict[str, Callable[[Path, str | None], Iterator[_Row]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".parquet": _parquet,
    ".csv": _table(","),
    ".tsv": _table("\t"),
    ".txt": _lines,
}
