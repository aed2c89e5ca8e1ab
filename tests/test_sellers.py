"""Linked sellers: what links accounts, what must not, and that buckets and masks change nothing."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from drugscan import given, linking, sellers, statistics
from drugscan.columns import pseudonym
from drugscan.listings import Bucket
from drugscan.schema import LABELS
from drugscan.text import text_id
from tests import conftest
from tests.fake_model import FakeModel

BEGIN = datetime(2024, 1, 1)
Ad = tuple[str, int, str]
"""Account, day, text."""


def bucket(ads: list[Ad], links: dict[str, list[str]] | None = None, kind: str = "user") -> Bucket:
    """A bucket as `listings.read_bucket` makes it."""
    rows = [
        {
            "peer_kind": "channel",
            "chat_id": 1 + day % 2,
            "chat_title": "Prikbord Noord",
            "seller": account,
            "seller_kind": kind,
            "local_time": BEGIN + timedelta(days=day),
            "text_id": text_id(text),
            "links": (links or {}).get(text, []),
            **{label: label == "softdrugs" for label in LABELS},
        }
        for account, day, text in ads
    ]
    schema: dict[str, Any] = {
        "peer_kind": pl.String,
        "chat_id": pl.Int64,
        "chat_title": pl.String,
        "seller": pl.String,
        "seller_kind": pl.String,
        "local_time": pl.Datetime("us"),
        "text_id": pl.Binary,
        "links": pl.List(pl.String),
        **dict.fromkeys(LABELS, pl.Boolean),
    }
    listings = pl.DataFrame(rows, schema=schema)
    names = {text_id(text): text for _, _, text in ads}
    texts = pl.DataFrame(
        {"text_id": list(names), "text": list(names.values()), "provinces": [["Utrecht"]] * len(names)},
        schema={"text_id": pl.Binary, "text": pl.String, "provinces": pl.List(pl.String)},
    )
    places = texts.select("text_id", place=pl.lit("Zeist"))
    contacts = given.contacts_of(listings, texts)
    return Bucket(
        listings.lazy(), listings.drop("links").lazy(), texts.lazy(), places.lazy(), contacts.lazy()
    )  # fmt: skip


def split(ads: list[Ad], buckets: int) -> pl.LazyFrame:
    """The partial frames of the ads over so many buckets, put together."""
    parts = [[ad for ad in ads if text_id(ad[2])[0] % buckets == number] for number in range(buckets)]
    return pl.concat([sellers.partial(bucket(part)).collect() for part in parts]).lazy()


def groups(ads: list[Ad], **more: Any) -> set[frozenset[str]]:  # noqa: ANN401
    """The linked sellers as sets of accounts."""
    found = sellers.merged(sellers.partial(bucket(ads, **more)).collect().lazy()).accounts
    return {frozenset(each) for each in found.group_by("linked_seller").agg("account")["account"].to_list()}


def uses(ads: list[Ad]) -> dict[tuple[str, str], str]:
    """What each account's giving of each handle is taken for."""
    found = sellers.merge_links(sellers.partial(bucket(ads)).collect().lazy()).collect()
    return {(account, handle): use for account, handle, use in found.select("account", "handle", "use").rows()}


def test_one_handle_in_other_notations_is_one_seller() -> None:
    ads = [("a", 1, "wiet 10, app 06 12 34 56 78"), ("b", 2, "hasj 5 wa.me/31612345678"), ("c", 3, "wiet 10 @niemand")]
    assert groups(ads) == {frozenset("ab"), frozenset("c")}


def test_links_go_on_over_a_third_account() -> None:
    ads = [("a", 1, "x @eerste_1"), ("b", 1, "y @eerste_1 of threema ABCD1234"), ("c", 1, "z Threema: ABCD1234")]
    assert groups(ads) == {frozenset("abc")}


def test_similar_texts_never_link() -> None:
    same = "MENU 1g 10 2g 18 5g 40 bezorging heel Utrecht"
    assert (
        len(groups([("a", 1, same), ("b", 2, same), ("c", 3, f"{same} @kopie_1"), ("d", 3, f"{same} @kopie_2")])) == 4
    )


def test_hidden_links_count() -> None:
    ads = [("a", 1, "wiet, bestel hier"), ("b", 2, "wiet t.me/winkel_1")]
    assert groups(ads, links={"wiet, bestel hier": ["https://t.me/Winkel_1"]}) == {frozenset("ab")}


def test_hubs_bots_escrow_and_the_chat_itself_do_not_link() -> None:
    for contact in ("@grote_winkel", "@menu_bot", "escrow via @garant_x", "@Prikbord_Noord"):
        accounts = linking.HUB_ACCOUNTS + 1 if contact == "@grote_winkel" else 3
        ads = [(f"a{number}", number, f"wiet {number} @eigen_{number} {contact}") for number in range(accounts)]
        assert len(groups(ads)) == accounts, contact
    ads = [(f"a{number}", number, f"wiet {number} @grote_winkel") for number in range(linking.HUB_ACCOUNTS)]
    assert len(groups(ads)) == 1


def test_a_reseller_who_passes_on_an_ad_is_not_its_seller() -> None:
    ads = [("a", day, f"wiet {day} @eigen_a") for day in range(9)] + [
        ("b", 3, "hasj @eigen_b"),
        ("a", 4, "hasj @eigen_b"),
    ]
    assert groups(ads) == {frozenset("a"), frozenset("b")}
    assert uses(ads)["a", "eigen_b"] == "passing"


def test_a_handle_always_beside_a_more_frequent_one_is_not_own() -> None:
    ads = [("a", day, f"wiet {day} @eigen_a" + " @vriend_x" * (day < 3)) for day in range(9)] + [
        ("b", 1, "x @vriend_x")
    ]
    assert uses(ads)["a", "vriend_x"] == "beside"
    assert len(groups(ads)) == 2


def test_a_channel_that_posts_everybodys_ads_links_nobody() -> None:
    ads = [(f"a{number}", 1, f"wiet {number} @eigen_{number}") for number in range(12)]
    ads += [("verzamelaar", 2, text) for _, _, text in ads]
    assert len(groups(ads)) == 13


def test_counts_and_their_bounds() -> None:
    ads = [
        ("a", 1, "x @eerste_1"),
        ("b", 1, "y @eerste_1 escrow @garant_1"),
        ("c", 1, "z @derde_1, escrow @garant_1"),
        ("d", 1, "niets"),
    ]
    counts = sellers.merge_counts(split(ads, 3)).collect().row(0, named=True)
    assert counts == {
        "accounts": 4,
        "linked_sellers": 3,
        "lower": 2,
        "upper": 4,
        "accounts_with_contact": 3,
        "accounts_linked": 2,
        "hubs": 0,
    }


def test_one_copy_of_anothers_ad_is_no_link() -> None:
    ads = [("a", 1, "x @eigen_a"), ("a", 2, "x @eigen_a"), ("b", 3, "x @eigen_a")]
    assert uses(ads)["b", "eigen_a"] == "copy"
    assert len(groups([*ads, ("b", 4, "nieuw x @eigen_a")])) == 1


def test_the_rows_of_a_linked_seller() -> None:
    ads = [("a", 0, "x @eerste_1"), ("b", 10, "x @eerste_1"), ("b", 11, "y @eerste_1")]
    row = sellers.merge_linked_sellers(split(ads, 4)).collect().row(0, named=True)
    assert (row["linked_seller"], row["accounts"], row["messages"], row["texts"], row["chats"]) == ("a", 2, 3, 2, 2)
    assert (row["active_days"], row["longest_gap_days"], row["handles"]) == (3, 10, "telegram 1")
    assert (row["labels"], row["provinces"], row["places"]) == ("softdrugs", "Utrecht", 1)
    assert (row["first_seen"], row["watched_until"]) == (BEGIN, BEGIN + timedelta(days=11))


@pytest.mark.parametrize("buckets", [2, 7])
def test_buckets_change_nothing(buckets: int) -> None:
    ads = [
        (f"a{number % 23}", number * 7 % 90, f"wiet {number % 41} @eigen_{number % 19} 06 1234 56{number % 13:02d}")
        for number in range(200)
    ]
    for merge in (sellers.merge_sellers, sellers.merge_linked_sellers, sellers.merge_links, sellers.merge_counts):
        assert merge(split(ads, buckets)).collect().equals(merge(split(ads, 1)).collect()), merge.__name__


def test_nothing_at_all() -> None:
    for name, statistic in statistics.STATISTICS.items():
        if statistic.partial is sellers.partial:
            table = statistic.merge(split([], 2)).collect()
            assert table.equals(statistic.merge(split([], 1)).collect()), name
    assert sellers.merge_counts(split([], 1)).collect().row(0) == (0,) * 7


def test_masking_hides_handles_and_changes_nothing_else() -> None:
    links = sellers.merge_links(split([("a", 1, "x @eerste_1"), ("b", 1, "y @eerste_1")], 2)).collect()
    covered = sellers.without_handles(links)
    assert links["handle"].to_list() == ["eerste_1"] * 2
    assert covered["handle"].null_count() == 2
    assert covered.drop("handle").equals(links.drop("handle"))
    assert not any("eerste" in str(value) for row in covered.rows() for value in row)


def _pairs(names: pl.DataFrame, *columns: str) -> int:
    """Pairs of accounts that have the same values in these columns."""
    return sum(count * (count - 1) // 2 for count in names.group_by(columns).len()["len"])


def test_sellers_of_the_demo(tmp_path: Path, small_demo: conftest.Demo, one_model: list[FakeModel]) -> None:
    """Planted: shared handles in several notations, a hub, a bot, escrow, copycats, resellers, channels, edits."""
    one_model.append(small_demo.oracle())
    url = str(tmp_path / "corpus")
    conftest.ingest([small_demo.exports], url)
    conftest.score(url)
    tables = conftest.tables(url, one_model[0]).tables
    truth = pl.read_parquet(Path(small_demo.exports).parent / "truth" / "sellers.parquet")
    keyed = {account: pseudonym(account, conftest.KEY) for account in truth["account"]}
    named = truth.select(seller=pl.col("account").replace_strict(keyed), behind="seller")
    names = (
        tables["sellers"]
        .join(named, on="seller", how="left")
        .with_columns(pl.col("behind").fill_null(pl.col("seller")))
    )
    both = _pairs(names, "linked_seller", "behind")
    assert both / _pairs(names, "linked_seller") >= 0.95
    assert both / _pairs(names, "behind") >= 0.9
    assert _pairs(names, "behind") >= 10
    counts = tables["seller_counts"].row(0, named=True)
    assert counts["lower"] < counts["linked_sellers"] < counts["accounts"] == counts["upper"] == names.height
    assert "demo_prikbord_nl" in set(tables["seller_links"].filter(use="hub")["handle"])
    assert set(tables["seller_links"]["use"]) <= set(linking.USES)
    assert tables["linked_sellers"]["messages"].sum() == tables["sellers"]["messages"].sum()
    assert statistics.masked(tables)["linked_sellers"].equals(tables["linked_sellers"])
    assert statistics.masked(tables)["seller_links"]["handle"].null_count() == tables["seller_links"].height
