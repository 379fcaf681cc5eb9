"""Duplicates among more questions than memory holds, found by sorting on disk.

Every question is a row of a DuckDB table in a temporary folder: its id, a hash of its text and its sketch
(gates/sketch.py); 320 bytes on disk, all told. Equal hashes are exact duplicates. For near ones the table is grouped
once for each band of the sketch; rows that share a band are compared by their sketches, and what reaches the threshold
is an edge between two rows. A walk over the edges in run order then keeps or drops each row.

**Chains.** A row falls if it is like an earlier row that stays. Where B is like A and C like B but not like A, B
falls and C stays: what is dropped always has a like that is kept.

**Moulds.** Where more than 32 rows share a band, each is compared with the first 16 of them and with the 16 that
its sketch sorts next to, not with all: 100,000 questions in one mould cost 100,000 x 32 comparisons a band. Near
duplicates inside such a crowd are neighbours in some band as a rule, and are found there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from glan_dspy.gates.sketch import alike, bands, sketch
from glan_dspy.records import normalise

_BATCH = 20_000
"""Rows that are handed over to DuckDB or fetched from it at a time."""
_CROWD, _FIRSTS, _NEIGHBOURS, _CHUNK = 32, 16, 16, 8192
_MOST_EDGES = 4
"""Of one row in one crowd."""
_ENOUGH = 32
"""A row with so many edges from crowds is compared in no further one."""

_ITEM = pa.schema(
    [("row", pa.uint32()), ("id", pa.string()), ("key", pa.binary()), ("sketch", pa.binary()), ("aside", pa.bool_())]
)
_EDGE = pa.schema([("row", pa.uint32()), ("other", pa.uint32()), ("similarity", pa.float32())])

Member = tuple[int, bytes]


class Twin(NamedTuple):
    """A row that falls, and the earlier row that it is like."""

    row: int
    other: int
    other_id: str
    similarity: float
    exact: bool


class Heap:
    """Rows counted from 0 in the order in which they are added; the first of a kind stays.

    `with` makes and closes the database; the folder is the caller's to remove.
    """

    def __init__(self, folder: Path, threshold: float, memory: str = "400MB") -> None:
        self.threshold = threshold
        self.rows = 0
        self._folder, self._memory = folder, memory
        self._batch: list[tuple[Any, ...]] = []

    def __enter__(self) -> Heap:
        self._db = duckdb.connect(self._folder / "curate.duckdb")
        for name, value in {
            "memory_limit": self._memory,
            "temp_directory": str(self._folder / "spill"),
            "threads": 2,
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,  # nothing is ever fetched
        }.items():
            self._db.execute(f"SET {name} = $1", [value])
        self._db.execute('CREATE TABLE item ("row" UINTEGER, id VARCHAR, "key" BLOB, sketch BLOB, aside BOOLEAN)')
        self._db.execute('CREATE TABLE edge ("row" UINTEGER, other UINTEGER, similarity FLOAT)')
        self._db.execute('CREATE TABLE fallen ("row" UINTEGER, other UINTEGER, similarity FLOAT)')
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def add(self, id: str, question: str, *, aside: bool = False) -> int:
        """The number of its row. `aside` for one that is named but neither judged nor a reason for another to fall."""
        text = normalise(question)
        key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).digest()
        row = (self.rows, id.encode("utf-8", "replace").decode(), key, b"" if aside else sketch(text), aside)
        self.rows += 1
        self._batch.append(row)
        if len(self._batch) == _BATCH:
            self._insert("item", self._batch, _ITEM)
        return self.rows - 1

    def settle(self, fixed: int = 0) -> None:
        """Decides which rows fall. The first `fixed` of them stay whatever they are like."""
        self._insert("item", self._batch, _ITEM)
        self._sql(f"""
            INSERT INTO fallen SELECT item."row", first, 2 FROM item
            JOIN (SELECT "key", min("row") AS first FROM item WHERE NOT aside GROUP BY "key" HAVING count(*) > 1) twin
            USING ("key") WHERE NOT aside AND item."row" > first AND item."row" >= {fixed}""")
        self._sql("""
            CREATE TABLE single AS SELECT "row", sketch FROM item
            WHERE NOT aside AND "row" NOT IN (SELECT "row" FROM fallen)""")
        self._degree = bytearray(self.rows)
        for band in bands(self.threshold):
            for _, members in groupby(self._sharing(band), key=itemgetter(0)):
                self._compare(((row, sketch) for _, row, sketch in members), band.stop)
        self._insert("edge", self._batch, _EDGE)
        self._walk(fixed)

    def ids(self, start: int, stop: int) -> Iterator[tuple[int, str]]:
        """(row, id) of these rows, in order."""
        found = self._sql(f'SELECT "row", id FROM item WHERE "row" >= {start} AND "row" < {stop} ORDER BY "row"')
        return _rows(found)

    def fallen(self, start: int, stop: int) -> Iterator[Twin]:
        """Those of these rows that fall, in order."""
        found = self._sql(f"""
            SELECT f."row", other, item.id, similarity FROM fallen f JOIN item ON item."row" = other
            WHERE f."row" >= {start} AND f."row" < {stop} ORDER BY f."row" """)
        for row, other, id, score in _rows(found):
            yield Twin(row, other, id, min(1.0, round(score, 3)), exact=score > 1)

    def _sharing(self, band: slice) -> Iterator[tuple[bytes, int, bytes]]:
        """(band, row, sketch) of the rows that share this band with another row, sorted."""
        part = f"sketch[{band.start + 1}:{band.stop}]"
        self._sql(f"""
            CREATE OR REPLACE TABLE shared AS SELECT {part} AS part FROM single GROUP BY part HAVING count(*) > 1""")
        found = self._sql(f"""
            SELECT {part} AS part, "row", sketch FROM single WHERE {part} IN (SELECT part FROM shared)
            ORDER BY part, "row" """)
        return _rows(found)

    def _compare(self, members: Iterator[Member], rest: int) -> None:
        firsts = list(islice(members, _CROWD))
        for place, member in enumerate(firsts):
            self._edges(member, firsts[:place])
        del firsts[_FIRSTS:]
        while chunk := list(islice(members, _CHUNK)):
            chunk.sort(key=lambda member: member[1][rest:])
            for place, member in enumerate(chunk):
                if self._degree[member[0]] < _ENOUGH:
                    near = chunk[max(0, place - _NEIGHBOURS) : place]
                    found = self._edges(member, firsts, _MOST_EDGES) or self._edges(member, near, _MOST_EDGES)
                    self._degree[member[0]] += found

    def _edges(self, member: Member, others: Iterable[Member], most: int = _CROWD) -> int:
        found = 0
        row, mine = member
        for other, theirs in others:
            score = alike(mine, theirs, self.threshold)
            if score is not None:
                self._batch.append((max(row, other), min(row, other), score))
                found += 1
                if found == most:
                    break
        if len(self._batch) >= _BATCH:
            self._insert("edge", self._batch, _EDGE)
        return found

    def _walk(self, fixed: int) -> None:
        gone = bytearray(self.rows)
        edges = self._sql(
            f'SELECT DISTINCT "row", other, similarity FROM edge WHERE "row" >= {fixed} ORDER BY "row", other'
        )
        fallen = []
        for row, other, score in _rows(edges):
            if not gone[row] and not gone[other]:
                gone[row] = 1
                fallen.append((row, other, score))
        self._insert("fallen", fallen, _EDGE)

    def _insert(self, table: str, rows: list[tuple[Any, ...]], schema: pa.Schema) -> None:
        """Moves the rows into the table."""
        if rows:
            columns = [
                pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)
            ]
            self._db.register("batch", pa.table(columns, schema=schema))
            self._db.execute(f"INSERT INTO {table} SELECT * FROM batch")
            self._db.unregister("batch")
            rows.clear()

    def _sql(self, statement: str) -> duckdb.DuckDBPyConnection:
        return self._db.cursor().execute(statement)


def _rows(found: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while batch := found.fetchmany(_BATCH):
        yield from batch
