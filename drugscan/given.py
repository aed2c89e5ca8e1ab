"""Which contact handles each account gives in its own ads, and how: the evidence from which sellers are linked."""

import re
import unicodedata
from typing import Final

import polars as pl

from drugscan import contacts

_HANDLE: Final = ("kind", "handle")
SCHEMA: Final = {
    "seller": pl.String,
    "kind": pl.String,
    "handle": pl.String,
    "messages": pl.Int64,
    "quoted_messages": pl.Int64,
    "alone_messages": pl.Int64,
    "copied_messages": pl.Int64,
    "contact_messages": pl.Int64,
}


def contacts_of(listings: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """A row per account and handle in the visible text or the hidden links of its own ads, by `SCHEMA`.

    `messages` = its ads that give the handle as its own, `quoted_messages` = those where the handle stands as
    somebody else's (see `handles.Contact`) or bears the title of the chat; `alone_messages` = those of `messages`
    where no other handle stands beside it; `copied_messages` = those with a text that another account posts more
    often; `contact_messages` = its ads that give any handle as its own (the same
    in every row of an account). Counts add up over buckets, except `contact_messages`, which adds up per account.
    """
    hidden = pl.col("links").list.join("\n").fill_null("")
    keys = ["seller", "seller_kind", "chat_title", "text_id", "hidden"]
    own = listings.filter(pl.col("seller").is_not_null()).with_columns(hidden=hidden)
    posted = own.group_by(keys).agg(count=pl.len().cast(pl.Int64)).with_row_index("row")
    times = pl.col("count").sum().over("seller", "text_id")
    posted = posted.with_columns(is_copy=times < times.max().over("text_id"))
    links = posted.select(text_id="hidden", text="hidden").filter(pl.col("text") != "").unique()
    sources = {"text_id": contacts.find(texts), "hidden": contacts.find(links).rename({"text_id": "hidden"})}
    each = pl.concat([posted.join(found, on=key).select("row", *_HANDLE, "quoted") for key, found in sources.items()])
    rows = each.group_by("row", *_HANDLE).agg(pl.col("quoted").all()).join(posted, on="row")
    return _counted(rows.with_columns(quoted=pl.col("quoted") | _is_of_the_chat(rows)))


def _is_of_the_chat(rows: pl.DataFrame) -> pl.Series:
    """Whether the handle is the title of the chat (@prikbord_01 in Prikbord 01); a channel may name itself."""
    titles = rows["chat_title"].drop_nulls().unique().to_list()
    plain = {title: re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", title).lower(), flags=re.A) for title in titles}
    title = pl.col("chat_title").replace_strict(plain, default=None, return_dtype=pl.String)
    same = (pl.col("kind") == "telegram") & (pl.col("handle").str.replace_all("_", "") == title)
    return rows.select((same & (pl.col("seller_kind") != "channel")).fill_null(False)).to_series()


def _counted(rows: pl.DataFrame) -> pl.DataFrame:
    """Messages per account and handle, from rows of one posting (account, text, links), handle and `count`."""
    own, count = ~pl.col("quoted"), pl.col("count")
    beside = own.sum().over("row")
    rows = rows.with_columns(alone=own & (beside == 1), first=own & (own.cum_sum().over("row") == 1))
    total = pl.when("first").then(count).otherwise(0).sum().over("seller")
    return (
        rows.with_columns(contact_messages=total)
        .group_by("seller", *_HANDLE)
        .agg(
            messages=pl.when(own).then(count).otherwise(0).sum(),
            quoted_messages=pl.when(own).then(0).otherwise(count).sum(),
            alone_messages=pl.when("alone").then(count).otherwise(0).sum(),
            copied_messages=pl.when(own & pl.col("is_copy")).then(count).otherwise(0).sum(),
            contact_messages=pl.col("contact_messages").first(),
        )
        .select([pl.col(name).cast(kind) for name, kind in SCHEMA.items()])
    )
