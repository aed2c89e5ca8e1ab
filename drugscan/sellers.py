"""Accounts that advertise, the sellers that they are when linked by contact handles, and how many there are.

One partial frame serves all of these tables: rows of an account (with its handles as a list), and rows of a chat
(`seller` null) that say from when to when the chat was watched. Merging works on frames by account, which are small.
"""

from typing import Final, NamedTuple

import polars as pl

from drugscan import linking
from drugscan.listings import Bucket
from drugscan.schema import LABELS

_CHAT: Final = pl.concat_str(pl.col("peer_kind").cast(pl.String), "chat_id", separator=":")
_SUMS: Final = ("messages", "contact_messages", *LABELS)
_LISTS: Final = ("text_ids", "chats", "days", "provinces", "places")
_COUNTED: Final = ("messages", "quoted_messages", "alone_messages", "copied_messages")


class Accounts(NamedTuple):
    """What the merges start from."""

    accounts: pl.DataFrame
    """A row per account: sums, lists of distinct values, first_seen, last_seen, linked_seller."""
    evidence: pl.DataFrame
    """A row per account and handle (`linking.evidence`), with linked_seller."""
    chats: pl.DataFrame
    """A row per chat: chat, begin, end (first and last message)."""


def partial(bucket: Bucket) -> pl.LazyFrame:
    """What one bucket knows of accounts and of chats."""
    chats = bucket.messages.group_by(chat=_CHAT).agg(begin=pl.col("local_time").min(), end=pl.col("local_time").max())
    watched = chats.select(pl.col("chat").reshape((-1, 1)).arr.to_list().alias("chats"), "begin", "end")
    return pl.concat([_accounts(bucket), watched], how="diagonal")


def _accounts(bucket: Bucket) -> pl.LazyFrame:
    places = bucket.places.group_by("text_id").agg(pl.col("place").unique().alias("places"))
    regions = bucket.texts.select("text_id", "provinces").join(places, on="text_id", how="left")
    posted = bucket.listings.filter(pl.col("seller").is_not_null()).join(regions, on="text_id", how="left")
    rows = posted.group_by("seller").agg(
        pl.col("seller_kind").min(),
        pl.len().cast(pl.Int64).alias("messages"),
        pl.col("text_id").unique().alias("text_ids"),
        _CHAT.unique().alias("chats"),
        pl.col("local_time").min().alias("first_seen"),
        pl.col("local_time").max().alias("last_seen"),
        pl.col("local_time").dt.date().unique().alias("days"),
        *(
            pl.col(name).list.explode(empty_as_null=False, keep_nulls=False).drop_nulls().unique()
            for name in ("provinces", "places")
        ),
        *(pl.col(label).sum().cast(pl.Int64) for label in LABELS),
    )
    handles = bucket.contacts.group_by("seller").agg(
        pl.col("contact_messages").first(), pl.struct("kind", "handle", *_COUNTED).alias("handles")
    )
    return rows.join(handles, on="seller", how="left")


def _distinct(name: str) -> pl.Expr:
    return pl.col(name).list.explode(empty_as_null=False, keep_nulls=False).unique().sort().alias(name)


def merged(parts: pl.LazyFrame) -> Accounts:
    """All buckets together, with the linked seller of every account."""
    rows = parts.collect()
    watched = rows.filter(pl.col("seller").is_null()).select(pl.col("chats").list.first().alias("chat"), "begin", "end")
    chats = watched.group_by("chat").agg(pl.col("begin").min(), pl.col("end").max()).sort("chat")
    posted = rows.filter(pl.col("seller").is_not_null()).rename({"seller": "account"})
    accounts = _together(posted.group_by("account"), pl.col("seller_kind").min()).sort("account")
    given = posted.select("account", "handles").explode("handles", empty_as_null=False, keep_nulls=False)
    sums = given.unnest("handles").group_by("account", "kind", "handle").agg(pl.col(_COUNTED).sum())
    evidence = linking.evidence(sums.join(accounts.select("account", "contact_messages"), on="account"))
    own = evidence.filter(pl.col("use") == "own").select("account", "kind", "handle")
    seller_of = linking.components(accounts["account"], own)
    return Accounts(accounts.join(seller_of, on="account"), evidence.join(seller_of, on="account"), chats)


def _together(rows: "pl.dataframe.group_by.GroupBy", *more: pl.Expr) -> pl.DataFrame:
    """Rows of accounts taken together: sums, distinct values, first and last, gaps."""
    taken = rows.agg(
        *more,
        *(pl.col(name).sum() for name in _SUMS),
        *(_distinct(name) for name in _LISTS),
        pl.col("first_seen").min(),
        pl.col("last_seen").max(),
    )
    return taken.with_columns(
        texts=pl.col("text_ids").list.len().cast(pl.Int64),
        active_days=pl.col("days").list.len().cast(pl.Int64),
        longest_gap_days=_longest_gap(),
    )


def _longest_gap() -> pl.Expr:
    """Most days from one day with an ad to the next such day (1 = never a day without); 0 with one day only."""
    return pl.col("days").list.eval(pl.element().diff().dt.total_days()).list.max().fill_null(0).cast(pl.Int64)


def merge_sellers(parts: pl.LazyFrame) -> pl.LazyFrame:
    """Table `sellers`: a row per account."""
    found = merged(parts).accounts.lazy()
    return found.select(
        pl.col("account").alias("seller"),
        "seller_kind",
        "linked_seller",
        "messages",
        "texts",
        pl.col("chats").list.len().cast(pl.Int64),
        "first_seen",
        "last_seen",
        "active_days",
        "longest_gap_days",
        pl.col("provinces").list.join(", "),
        *LABELS,
    ).sort("messages", "seller", descending=[True, False])


def merge_linked_sellers(parts: pl.LazyFrame) -> pl.LazyFrame:
    """Table `linked_sellers`: a row per linked seller, of one account or several."""
    found = merged(parts)
    rows = _together(found.accounts.group_by("linked_seller"), pl.len().cast(pl.Int64).alias("accounts"))
    own = found.evidence.filter(pl.col("use") == "own").group_by("linked_seller")
    handles = own.agg(pl.col("handle_id").unique().sort().str.join(", ").alias("handles"))
    watched = rows.select("linked_seller", chat="chats").explode("chat").join(found.chats, on="chat")
    window = watched.group_by("linked_seller").agg(
        watched_from=pl.col("begin").min(), watched_until=pl.col("end").max()
    )
    names = [pl.when(pl.col(label) > 0).then(pl.lit(label)) for label in LABELS]
    labels = pl.concat_str(names, separator=", ", ignore_nulls=True)
    joined = rows.join(handles, on="linked_seller", how="left").join(window, on="linked_seller", how="left")
    return (
        joined.lazy()
        .select(
            "linked_seller",
            "accounts",
            pl.col("handles").fill_null(""),
            "messages",
            "texts",
            pl.col("chats").list.len().cast(pl.Int64),
            labels.alias("labels"),
            pl.col("provinces").list.join(", "),
            pl.col("places").list.len().cast(pl.Int64),
            "first_seen",
            "last_seen",
            "active_days",
            "longest_gap_days",
            "watched_from",
            "watched_until",
        )
        .sort("messages", "linked_seller", descending=[True, False])
    )


def merge_links(parts: pl.LazyFrame) -> pl.LazyFrame:
    """Table `seller_links`: a row per account and handle, with what the giving is taken for."""
    columns = ("account", "linked_seller", "kind", "handle_id", "handle", "use", "accounts", *_COUNTED)
    found = merged(parts).evidence.lazy()
    return found.select(*columns).sort("linked_seller", "kind", "handle", "account")


def merge_counts(parts: pl.LazyFrame) -> pl.LazyFrame:
    """Table `seller_counts`: accounts, linked sellers, and the bounds of the number of sellers.

    `lower` = every handle that anybody names links, hubs too; `upper` = every account is a seller of its own.
    """
    found = merged(parts)
    names, evidence = found.accounts["account"], found.evidence
    all_linked = linking.components(names, evidence.select("account", "kind", "handle"))
    sizes = found.accounts.group_by("linked_seller").len()["len"]
    counts = {
        "accounts": names.len(),
        "linked_sellers": sizes.len(),
        "lower": all_linked["linked_seller"].n_unique(),
        "upper": names.len(),
        "accounts_with_contact": evidence["account"].n_unique(),
        "accounts_linked": int(sizes.filter(sizes > 1).sum()),
        "hubs": evidence.filter(pl.col("use") == "hub").select("kind", "handle").n_unique(),
    }
    return pl.LazyFrame({name: pl.Series([value], dtype=pl.Int64) for name, value in counts.items()})


def without_handles(links: pl.DataFrame) -> pl.DataFrame:
    """Table `seller_links` as it is shown: a handle is its number, `telegram 3`, and nothing more."""
    return links.with_columns(handle=pl.lit(None, pl.String))
