"""Who advertises where, as a network for Gephi: chats and linked sellers, joined by ads.

GEXF 1.3 (https://gexf.net), undirected; an edge weighs as many ads as it stands for.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from xml.etree import ElementTree

import polars as pl

from drugscan import export, publish
from drugscan.schema import LABELS

_NAMESPACE: Final = "http://gexf.net/1.3"
_ATTRIBUTES: Final = {"kind": "string", "ads": "long", "labels": "string"}
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, however it is written."""
_CHAT: Final = ("peer_kind", "chat_id")


class Network(NamedTuple):
    """How large a network is."""

    chats: int
    sellers: int
    edges: int


def write_gexf(url: str, path: str, replace: bool = False) -> Network:
    """Write the network of the current results of the corpus `url` to `path`, whole or not at all.

    Nodes are the chats with ads and the linked sellers, with `ads` and `labels`. Forwards and ads of anonymous
    administrators count for their chat and make no edge.
    """
    manifest = export.current(url)
    with export.new_file(path, replace) as temporary:
        tables, _ = publish.read_run(manifest)
        counted = _counted(manifest.tables)
        chats, sellers = _chats(tables["chats"], counted), tables["linked_sellers"].sort("linked_seller")
        edges = _edges(counted, tables["sellers"])
        document = _document({"chat": chats, "seller": _sellers(sellers)}, edges)
        document.write(temporary, encoding="utf-8", xml_declaration=True)
    return Network(chats.height, sellers.height, edges.height)


def _counted(folder: str) -> pl.DataFrame:
    """Ads and ads per label of each chat and account (null: nobody's)."""
    sums = [pl.len().alias("ads"), *(pl.col(label).sum() for label in LABELS)]
    columns = [*_CHAT, "seller", *LABELS]
    parts = [batch.group_by(*_CHAT, "seller").agg(sums) for batch in export.listing_batches(folder, columns)]
    kinds = {"peer_kind": pl.String, "chat_id": pl.Int64, "seller": pl.String}
    empty = pl.DataFrame(schema=kinds | dict.fromkeys(("ads", *LABELS), pl.UInt32))
    return pl.concat([empty, *parts]).group_by(*_CHAT, "seller").agg(pl.col("ads", *LABELS).sum())


def _chats(titles: pl.DataFrame, counted: pl.DataFrame) -> pl.DataFrame:
    names = [pl.when(pl.col(label) > 0).then(pl.lit(label)) for label in LABELS]
    return (
        counted.group_by(_CHAT)
        .agg(pl.col("ads", *LABELS).sum())
        .join(titles.select(*_CHAT, "chat_title"), on=_CHAT, how="left")
        .sort(_CHAT)
        .select(
            id=pl.format("{}:{}", *_CHAT),
            name=pl.coalesce("chat_title", pl.format("{}:{}", *_CHAT)),
            ads="ads",
            labels=pl.concat_str(names, separator=", ", ignore_nulls=True),
        )
    )


def _sellers(table: pl.DataFrame) -> pl.DataFrame:
    return table.select(
        id=pl.format("seller:{}", "linked_seller"), name="linked_seller", ads="messages", labels="labels"
    )


def _edges(counted: pl.DataFrame, accounts: pl.DataFrame) -> pl.DataFrame:
    linked = counted.join(accounts.select("seller", "linked_seller"), on="seller")
    return (
        linked.group_by(source=pl.format("seller:{}", "linked_seller"), target=pl.format("{}:{}", *_CHAT))
        .agg(pl.col("ads").sum())
        .sort("source", "target")
    )


def _document(nodes: Mapping[str, pl.DataFrame], edges: pl.DataFrame) -> ElementTree.ElementTree:
    root = ElementTree.Element("gexf", xmlns=_NAMESPACE, version="1.3")
    graph = ElementTree.SubElement(root, "graph", defaultedgetype="undirected")
    declared = ElementTree.SubElement(graph, "attributes", {"class": "node"})
    for name, kind in _ATTRIBUTES.items():
        ElementTree.SubElement(declared, "attribute", id=name, title=name, type=kind)
    listed = ElementTree.SubElement(graph, "nodes")
    for kind, table in nodes.items():
        for row in table.iter_rows(named=True):
            node = ElementTree.SubElement(listed, "node", id=row["id"], label=_NOT_XML.sub("\ufffd", row["name"]))
            values = ElementTree.SubElement(node, "attvalues")
            for name, value in {"kind": kind, "ads": row["ads"], "labels": row["labels"]}.items():
                ElementTree.SubElement(values, "attvalue", {"for": name, "value": str(value)})
    joined = ElementTree.SubElement(graph, "edges")
    for number, (source, target, ads) in enumerate(edges.iter_rows()):
        ElementTree.SubElement(joined, "edge", id=str(number), source=source, target=target, weight=str(ads))
    return ElementTree.ElementTree(root)
