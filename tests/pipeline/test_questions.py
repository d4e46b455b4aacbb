"""A file of flights holds what requests may hold, and is read whatever program has written it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from pydantic import ValidationError

from labserver.api.bodies import parse
from labserver.api.schemas import PredictionRequest
from labserver.errors import LabError
from labserver.model.bundle import Bundle
from labserver.pipeline import questions
from labserver.pipeline.questions import OPTIONAL, REQUIRED, load_file
from labserver.pipeline.sources.warehouse import open_warehouse
from labserver.service.schedule import Vocabulary
from labserver.settings import Settings

FLIGHT = {
    "carrier": "UA",
    "flight": "1545",
    "origin": "EWR",
    "dest": "ORD",
    "tailnum": "N14228",
    "scheduled_departure": "2013-09-01T17:30:00-04:00",
}
MOMENT = datetime(2013, 9, 1, 21, 30, tzinfo=UTC)
Load = Callable[[Path], list[tuple[Any, ...]]]


@pytest.fixture
def load(settings: Settings, bundle: Bundle) -> Load:
    """Loads a file, and returns the questions in their order."""

    def loaded(path: Path) -> list[tuple[Any, ...]]:
        with open_warehouse(settings.warehouse) as db:
            load_file(db, path, Vocabulary(bundle.vocabulary))
            return db.execute(
                """SELECT row, carrier, flight, origin, dest, tailnum, epoch_us(scheduled_departure), epoch_us(as_of)
                   FROM flights_to_score ORDER BY row"""
            ).fetchall()

    return loaded


def written(*rows: dict[str, str], delimiter: str = ",") -> str:
    """CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


ROW = (0, "UA", 1545, "EWR", "ORD", "N14228", int(MOMENT.timestamp() * 1e6), int((MOMENT.timestamp() - 7200) * 1e6))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(written(FLIGHT).encode(), id="crlf"),
        pytest.param(written(FLIGHT).replace("\r\n", "\n").encode(), id="lf"),
        pytest.param(written(FLIGHT).encode("utf-8-sig"), id="byte-order-mark"),
        pytest.param(written(FLIGHT, delimiter=";").encode(), id="semicolons"),
        pytest.param(written(FLIGHT, delimiter="\t").encode(), id="tabs"),
        pytest.param(written(dict(reversed(FLIGHT.items()))).encode(), id="columns-in-another-order"),
        pytest.param(written(FLIGHT).replace("UA", '"UA"').encode(), id="quotes"),
        pytest.param(written(FLIGHT).replace("1545", "1545.0").encode(), id="a-number-from-a-column-with-gaps"),
        pytest.param(written(FLIGHT).replace("1545", "1.545e3").encode(), id="a-number-with-an-exponent"),
        pytest.param(written(FLIGHT).replace("\r\n", "\r\n\r\n").encode(), id="blank-lines"),
        pytest.param(written(FLIGHT | {"as_of": ""}).encode(), id="no-as-of"),
        pytest.param(written(FLIGHT | {"as_of": "2013-09-01T19:30:00Z"}).encode(), id="as-of"),
    ],
)
@pytest.mark.parametrize("name", ["flights.csv", "[final] flights*?.CSV"])
def test_the_same_flight_however_it_is_written(load: Load, tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "f flights.csv").write_text("what a pattern would find")
    assert load(tmp_path / name) == [ROW]


@pytest.mark.parametrize("flight", ["1545", "1545::DOUBLE", "1545::SMALLINT"])
@pytest.mark.parametrize("moment", ["'2013-09-01T17:30:00-04:00'", "TIMESTAMPTZ '2013-09-01 17:30:00-04'"])
@pytest.mark.parametrize("as_of", ["", ", NULL::TIMESTAMPTZ AS as_of", ", TIMESTAMPTZ '2013-09-01 19:30:00Z' AS as_of"])
def test_parquet_of_moments_or_of_texts(load: Load, tmp_path: Path, flight: str, moment: str, as_of: str) -> None:
    assert load(parquet(tmp_path / "[1] a.parquet", flight, moment, as_of)) == [ROW]


def parquet(path: Path, flight: str, moment: str, as_of: str = "") -> Path:
    duckdb.sql(
        f"""COPY (SELECT 'UA' AS carrier, {flight} AS flight, 'EWR' AS origin, 'ORD' AS dest, 'N14228' AS tailnum,
            {moment} AS scheduled_departure {as_of}) TO '{path}' (FORMAT parquet)"""
    )
    return path


@pytest.mark.parametrize(
    ("flight", "moment", "as_of", "named"),
    [
        ("1545", "TIMESTAMP '2013-09-01 17:30:00'", "", "scheduled_departure: Input should have timezone"),
        ("1545", "DATE '2013-09-01'", "", "scheduled_departure: not a string"),
        ("1545", "TIMESTAMPTZ 'infinity'", "", "scheduled_departure"),
        ("1545", "'2013-09-01T17:30:00-04:00'", ", TIMESTAMP '2013-09-01 10:00:00' AS as_of", "as_of: Input should"),
        ("'1545'", "'2013-09-01T17:30:00-04:00'", "", "flight: Input should be a valid integer"),
        ("'NaN'::DOUBLE", "'2013-09-01T17:30:00-04:00'", "", "flight: Input should be a valid integer"),
        ("true", "'2013-09-01T17:30:00-04:00'", "", "flight: Input should be a valid integer"),
    ],
)
def test_parquet_is_refused_where_a_request_would_be(
    load: Load, tmp_path: Path, flight: str, moment: str, as_of: str, named: str
) -> None:
    with pytest.raises(LabError, match=f"row 1, {named}"):
        load(parquet(tmp_path / "a.parquet", flight, moment, as_of))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"as_of": "2013-09-01 10:00:00"}, "as_of: not an RFC 3339 time with an offset"),
        ({"as_of": "2013-09-01T18:00:00-04:00"}, "as_of: .* cannot be answered. Allowed: .*where the data begin"),
        ({"as_of": "2012-12-31T18:00:00-05:00"}, "as_of: .* cannot be answered"),
        ({"scheduled_departure": "2013-09-01 17:30"}, "scheduled_departure: not an RFC 3339 time"),
        ({"scheduled_departure": ""}, "scheduled_departure: not a string"),
        ({"scheduled_departure": "2012-09-01T17:30:00Z"}, "scheduled_departure: .* is outside the schedule. Allowed"),
        ({"scheduled_departure": "2014-09-01T17:30:00Z"}, "scheduled_departure: .* is outside the schedule. Allowed"),
        ({"origin": ""}, "origin: Input should be a valid string"),
        ({"origin": "ORD"}, "origin: ORD is not an origin we know. Allowed: EWR, JFK, LGA"),
        ({"dest": "XXX"}, "dest: XXX is not served from EWR. Allowed: ALB, "),
        ({"carrier": "ZZ"}, "carrier: ZZ is not a carrier we know"),
        ({"carrier": "ua"}, "carrier: String should match"),
        ({"carrier": " UA"}, "carrier: String should match"),
        ({"flight": "0"}, "flight: Input should be greater"),
        ({"flight": "10000"}, "flight: Input should be less"),
        ({"flight": "1545.5"}, "flight: Input should be a valid integer"),
        ({"flight": "true"}, "flight: Input should be a valid integer"),
        ({"flight": "0x10"}, "flight: Input should be a valid integer"),
        ({"flight": "9" * 5000}, "flight: Input should be a valid integer"),
        ({"flight": ""}, "flight: Input should be a valid integer"),
        ({"tailnum": "N-1"}, "tailnum: String should match"),
    ],
)
def test_the_row_and_the_field_at_fault_are_named(
    load: Load, tmp_path: Path, changed: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "ROWS_AT_ONCE", 2)
    good = FLIGHT | dict.fromkeys(changed.keys() & set(OPTIONAL), "")
    file = tmp_path / "flights.csv"
    file.write_text(written(good, good, good, FLIGHT | changed, good))
    with pytest.raises(LabError, match=f"flights.csv: row 4, {named}"):
        load(file)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "lacks the columns carrier, flight, origin, dest, tailnum, scheduled_departure; it needs"),
        (written({k: v for k, v in FLIGHT.items() if k != "dest"}).encode(), "lacks the columns dest;"),
        (written(FLIGHT | {"as_off": ""}).encode(), "has columns that no request has: as_off;"),
        (written(FLIGHT).replace("tailnum", "tailnum,carrier").encode(), "has the column carrier twice"),
        (written(FLIGHT).encode() + b"UA,1\r\n", "row 2 has 2 cells, the first line has 6"),
        (written(FLIGHT).replace("UA", '"UA').encode(), "cannot be read: unexpected end of data"),
        (written(FLIGHT).encode("utf-16"), "is not UTF-8. Save it as UTF-8"),
        (written(FLIGHT).replace("N14228", "Ñ").encode("latin-1"), "is not UTF-8"),
        (written(FLIGHT).replace("N14228", "N" * 200_000).encode(), "cannot be read: field larger than"),
    ],
)
def test_a_file_that_is_no_list_of_flights_is_one_sentence(
    load: Load, tmp_path: Path, content: bytes, says: str
) -> None:
    (tmp_path / "flights.csv").write_bytes(content)
    with pytest.raises(LabError, match=says):
        load(tmp_path / "flights.csv")


def test_no_file_a_folder_and_another_ending_are_one_sentence_each(load: Load, tmp_path: Path) -> None:
    (tmp_path / "flights.xlsx").write_bytes(b"PK")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    for path, says in (
        (tmp_path / "none.csv", "There is no file"),
        (tmp_path, "There is no file"),
        (tmp_path / "flights.xlsx", "must end in .csv or .parquet"),
        (tmp_path / "broken.parquet", "cannot be read"),
    ):
        with pytest.raises(LabError, match=says):
            load(path)


def test_files_longer_than_what_is_read_at_once_keep_their_order(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "ROWS_AT_ONCE", 3)
    file = tmp_path / "flights.csv"
    file.write_text(written(*(FLIGHT | {"flight": str(number)} for number in range(1, 9))))
    assert [(row[0], row[2]) for row in load(file)] == [(number - 1, number) for number in range(1, 9)]


CELLS = {
    "carrier": st.sampled_from(["UA", "9E", "ua", "U", "", "N/A", "12"]),
    "flight": st.sampled_from(
        ["1", "9999", "10000", "1545.0", "15.5", "-3", "1e3", "1E+2", "", "NaN", "1_0", "٣", "01"]
    ),
    "origin": st.sampled_from(["EWR", "ewr", "", "EWR "]),
    "dest": st.sampled_from(["ORD", "ORDX", "null"]),
    "tailnum": st.sampled_from(["N14228", "", "n1", "N1", "N123456789"]),
    "scheduled_departure": st.sampled_from(
        ["2013-09-01T17:30:00-04:00", "2013-09-01 17:30:00Z", "2013-09-01", "", "1378071000", "2013-06-30T23:59:60Z"]
    ),
    "as_of": st.sampled_from(["", "2013-09-01T10:00:00Z", "2013-09-01T10:00:00", "now"]),
}


def as_json(cells: dict[str, str]) -> bytes:
    """The cells as JSON; a flight that is a number in JSON stays one."""
    row: dict[str, Any] = {name: cell or None for name, cell in cells.items()}
    with suppress(ValueError):
        row["flight"] = json.loads(cells["flight"], parse_constant=str)
    return json.dumps(row).encode()


@given(st.fixed_dictionaries(CELLS))
@hypothesis.settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_accepts_what_a_request_accepts(tmp_path: Path, load: Load, cells: dict[str, str]) -> None:
    (tmp_path / "flights.csv").write_text(written(cells), encoding="utf-8")
    try:
        flight = parse(PredictionRequest, as_json(cells)).to_flight()
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        with pytest.raises(LabError, match=f"row 1, {name}:"):
            load(tmp_path / "flights.csv")
        return
    if flight.carrier == "12":
        with pytest.raises(LabError, match="row 1, carrier: 12 is not a carrier we know"):
            load(tmp_path / "flights.csv")
        return
    if flight.as_of and flight.as_of > flight.scheduled_departure:
        with pytest.raises(LabError, match=r"row 1, as_of: .* cannot be answered"):
            load(tmp_path / "flights.csv")
        return
    [row] = load(tmp_path / "flights.csv")
    assert row[1:6] == (flight.carrier, flight.flight, flight.origin, flight.dest, flight.tailnum)
    assert row[6] == round(flight.scheduled_departure.timestamp() * 1e6)


def test_every_field_of_a_request_is_a_column_but_for_overrides() -> None:
    assert set(PredictionRequest.model_fields) - {"overrides"} == {*REQUIRED, *OPTIONAL}
