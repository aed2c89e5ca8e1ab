"""Which accounts are one seller: those that give the same contact handle as their own. Similar texts never link.

An account's own handles are told from others' by how often and how it gives them; a handle that many accounts give
(an administrator, a bot, an escrow service, a channel that everybody names) links nobody.
"""

from hashlib import blake2b
from typing import Final

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

HUB_ACCOUNTS: Final = 10
"""A handle that more accounts give as their own is a hub; an account that gives more handles can be a collector."""
LEAST_SHARE: Final = 0.2
"""An account's own handle stands in at least this share of its ads that have a contact."""
USES: Final = ("own", "quoted", "bot", "passing", "collector", "beside", "copy", "hub")
"""What an account's giving of a handle is taken for; only `own` can link. See `evidence`."""


def evidence(given: pl.DataFrame) -> pl.DataFrame:
    """Every account and handle with its `use`, from the columns account, kind, handle, messages, quoted_messages,
    alone_messages, copied_messages and contact_messages (the account's own ads that have a contact).

    The first that holds: `quoted` = only ever named as somebody else's; `bot` = ends in bot; `collector` = the
    account gives more than `HUB_ACCOUNTS` handles and none in half of its ads (a channel that posts others' ads);
    `passing` = in less than `LEAST_SHARE` of its ads; `beside` = never alone and less than half as often as
    another handle; `copy` = once only, in a text that another account posts more often; `hub` = what is left is
    given by more than `HUB_ACCOUNTS` accounts; else `own`. Adds `accounts` (how many give it and are not passing) and
    `handle_id`, a name that tells nothing of the handle.
    """
    top = pl.col("messages").max().over("account")
    collects = (pl.len().over("account") > HUB_ACCOUNTS) & (top * 2 < pl.col("contact_messages"))
    kept_from = {
        "quoted": pl.col("messages") == 0,
        "bot": (pl.col("kind") == "telegram") & pl.col("handle").str.ends_with("bot"),
        "collector": collects,
        "passing": pl.col("messages") < pl.col("contact_messages") * LEAST_SHARE,
        "beside": (pl.col("alone_messages") == 0) & (pl.col("messages") * 2 < top),
        "copy": (pl.col("messages") == 1) & (pl.col("copied_messages") == 1),
    }
    use = pl.coalesce(*(pl.when(rule).then(pl.lit(name)) for name, rule in kept_from.items()), pl.lit("own"))
    judged = given.with_columns(use=use)
    is_own = pl.col("use") == "own"
    judged = judged.with_columns(accounts=is_own.sum().over("kind", "handle").cast(pl.Int64))
    is_hub = is_own & (pl.col("accounts") > HUB_ACCOUNTS)
    judged = judged.with_columns(use=pl.when(is_hub).then(pl.lit("hub")).otherwise("use"))
    return judged.join(_handle_ids(judged), on=["kind", "handle"], how="left").sort("account", "kind", "handle")


def _handle_ids(judged: pl.DataFrame) -> pl.DataFrame:
    """Handles numbered, those that most accounts give first: the same in every run over the same messages.

    A number, no hash: all phone numbers of a country are hashed in seconds, and the key of the pseudonyms stays
    with `ingest`. Among equals the order is that of a hash, so that a number tells nothing of the alphabet.
    """
    counted = judged.group_by("kind", "handle").agg(pl.col("accounts").max(), pl.col("messages").sum())
    mixed = [blake2b(f"{kind} {handle}".encode()).digest() for kind, handle in counted.select("kind", "handle").rows()]
    ordered = counted.with_columns(mixed=pl.Series(mixed, dtype=pl.Binary)).sort(
        "accounts", "messages", "mixed", descending=[True, True, False]
    )
    number = pl.int_range(1, pl.len() + 1)
    return ordered.select("kind", "handle", handle_id=pl.format("{} {}", "kind", number))


def components(accounts: pl.Series, pairs: pl.DataFrame) -> pl.DataFrame:
    """`account` and `linked_seller`: the least account among those that `pairs` (account, kind, handle) connect."""
    names = accounts.unique().sort()
    edges = pairs.join(pl.DataFrame({"account": names}).with_row_index("from"), on="account")
    to = edges.select(pl.struct("kind", "handle").rank("dense")).to_series().to_numpy() + names.len() - 1
    size = names.len() + edges.height
    weights = np.ones(edges.height, np.int8)
    graph = coo_array((weights, (edges["from"].to_numpy(), to)), shape=(size, size))
    _, part = connected_components(graph, directed=False)
    labelled = pl.DataFrame({"account": names, "part": part[: names.len()]})
    return labelled.select("account", linked_seller=pl.col("account").min().over("part"))
