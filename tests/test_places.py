"""Places, contacts: what an ad claims, and what must be covered."""

import json

import polars as pl
import pytest

from drugscan import contacts, places
from drugscan.text import canonical
from tests.conftest import REPOSITORY


def frame(*texts: str) -> pl.DataFrame:
    rows = {"text_id": [i.to_bytes(16, "big") for i in range(len(texts))], "text": list(texts)}
    return pl.DataFrame(rows, schema={"text_id": pl.Binary, "text": pl.String})


def found(text: str) -> list[str]:
    return places.find(frame(text))["place"].to_list()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bezorging Utrecht, Nieuwegein", ["Utrecht", "Nieuwegein"]),
        ("020 en 010", ["Amsterdam", "Rotterdam"]),
        ("bel 020-1234567", []),
        ("mokum / agga", ["Amsterdam", "Den Haag"]),
        ("Bergen op Zoom", ["Bergen op Zoom"]),
        ("capelle a/d ijssel", ["Capelle aan den IJssel"]),
        ("'s-Hertogenbosch", ["Den Bosch"]),
        ("niet naar Lelystad, wel Almere", ["Almere"]),
        ("@plug_utrecht t.me/rotterdam", []),
        ("de best betaalde kamer, heel goed, echt waar", []),
        ("Eindhoven, Best, Son", ["Eindhoven", "Best", "Son"]),
        ("regio Twente", ["Twente"]),
        ("u\u200bt\u200brecht", ["Utrecht"]),
        ("heel Brabant", []),
        ("Antwerpen", ["Antwerpen"]),
        ("goedemorgen allemaal", []),
    ],
)
def test_places_by_hand(text: str, expected: list[str]) -> None:
    assert found(text) == expected


def test_of_twins_the_neighbour_decides_else_the_largest() -> None:
    rows = places.find(frame("Hengelo", "Zutphen, Doetinchem, Hengelo"))
    assert rows.filter(pl.col("place") == "Hengelo").select("province", "reason").rows() == [
        ("Overijssel", "largest"),
        ("Gelderland", "with Gelderland"),
    ]


def test_regions_have_one_row_per_text() -> None:
    rows = places.regions(frame("Utrecht en Zwolle", "niets", "heel Nederland", "heel Brabant"))
    assert rows["provinces"].to_list() == [["Overijssel", "Utrecht"], [], [], ["Noord-Brabant"]]
    assert rows["national"].to_list() == [False, False, True, False]


def test_nothing_in_nothing_out() -> None:
    assert places.find(frame()).schema == places.PLACES
    assert places.regions(frame()).height == 0
    assert found("") == []


def test_twelve_provinces_and_their_inhabitants() -> None:
    assert places.provinces()["population"].sum() == 17_947_684
    assert places.provinces().height == 12


def test_precision_and_recall_on_the_authored_ads() -> None:
    """What README and decisions say of the gazetteer must stay true."""
    files = sorted((REPOSITORY / "data" / "authored").glob("*.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    ads = [line for line in lines if line["drugsad"]]
    rows = places.find(frame(*(canonical(ad["text"]) for ad in ads)))
    said: dict[int, set[str]] = {}
    for number, place in rows.select("text_id", "place").iter_rows():
        said.setdefault(int.from_bytes(number, "big"), set()).add(place)
    hits = sum(len(said.get(i, set()) & set(ad["places"])) for i, ad in enumerate(ads))
    claimed, true = sum(map(len, said.values())), sum(len(set(ad["places"])) for ad in ads)
    assert hits / claimed >= 0.95
    assert hits / true >= 0.92


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("dm @plug_010 nu", "dm @••• nu"),
        ("https://t.me/+abc en wa.me/31612345678", "[link] en [link]"),
        ("app 06-12345678", "app 06•••"),
        ("+31 6 12 34 56 78 of 0031612345678", "06••• of 06•••"),
        ("06 1234 5678", "06•••"),
        ("mail jan@voorbeeld.nl", "mail •••@•••"),
        ("Signal: plug.99", "Signal: •••"),
        ("threema id ABCD1234", "threema id ABCD1234"),
        ("wickr dealer_99", "wickr •••"),
        ("3-mmc 100g 450, 10st €25, 06:00 tot 23:00", "3-mmc 100g 450, 10st €25, 06:00 tot 23:00"),
    ],
)
def test_contacts_are_covered_and_prices_are_not(text: str, covered: str) -> None:
    assert contacts.mask(text) == covered
    frame = pl.DataFrame({"t": [text]}).with_columns(contacts.mask_expression("t"))
    assert frame["t"][0] == covered
