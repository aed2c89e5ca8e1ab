"""Results as text for a terminal."""

from collections.abc import Mapping
from typing import Any

import polars as pl


def summary(tables: Mapping[str, pl.DataFrame], facts: Mapping[str, Any]) -> str:
    """The headline figures and the first rows of what people look for."""
    totals, ledger = tables["totals"].row(0, named=True), facts["ledger"]
    head = [
        ("messages", totals["messages_scanned"]),
        ("distinct texts", totals["texts_scanned"]),
        ("drug ads", totals["messages"]),
        ("distinct ad texts", totals["texts"]),
        ("accounts that advertise", totals["sellers"]),
        ("chats with ads", totals["chats"]),
    ]
    lines = [f"{name:<24}{value:>14,}" for name, value in head]
    with_text = max(1, totals["messages_scanned"] - ledger["empty"])
    lines[1] += f"   {totals['texts_scanned'] / with_text:.1%} of the messages that have text"
    lines[2] += f"   {totals['share']:.1%} of all messages; not audited"
    if totals["messages"]:
        lines[3] += f"   each posted {totals['copies_per_text']:.0f} times on average"
        lines.append(f"{'first and last ad':<24}{totals['first_seen']:%Y-%m-%d} to {totals['last_seen']:%Y-%m-%d}")
    lines += ["", *_top("label", tables["labels"].rename({"label": "name"}), 8)]
    lines += ["", *_top("province", tables["provinces"].rename({"province": "name"}), 5)]
    lines += ["", _ledger(ledger)]
    return "\n".join(lines)


def _top(title: str, table: pl.DataFrame, rows: int) -> list[str]:
    lines = [f"{title:<24}{'ads':>14}{'texts':>10}{'accounts':>10}"]
    for row in table.head(rows).to_dicts():
        lines.append(f"{row['name']:<24}{row['messages']:>14,}{row['texts']:>10,}{row['sellers']:>10,}")
    return lines


def _ledger(ledger: Mapping[str, int]) -> str:
    """The ledger on three lines, without what is zero."""

    def side(names: tuple[str, ...]) -> str:
        return " + ".join(f"{name} {ledger[name]:,}" for name in names if ledger[name]) or "0"

    return "\n".join(
        (
            f"read {ledger['read']:,} = {side(('kept', 'rejects', 'service', 'private'))}",
            f"kept {ledger['kept']:,} = {side(('current', 'duplicates', 'superseded'))}",
            f"current {ledger['current']:,} = {side(('scored', 'empty', 'pending', 'failed', 'outside'))}",
        )
    )


def status(facts: Mapping[str, Any]) -> str:
    """What `drugscan status` says."""
    lines = [
        f"{'ranges':<20}{facts['ranges']:>14,}   from {facts['sources']:,} sources",
        f"{'messages':<20}{facts['kept']:>14,}   {facts['rejects']:,} rejects",
        f"{'distinct texts':<20}{facts['texts']:>14,}",
        f"{'scored':<20}{facts['scored']:>14,}   by {facts['model']}",
        f"{'pending':<20}{facts['pending']:>14,}",
        f"{'files':<20}{facts['files']:>14,}",
        f"{'report':<20}{facts['report'] or 'none yet: run drugscan stats'}",
    ]
    if facts["pending"]:
        lines.append("Score what is pending with: drugscan score --corpus ...")
    return "\n".join(lines)


def evaluation(result: Mapping[str, Any]) -> str:
    """The figures of `drugscan evaluate` with their intervals."""
    lines = [f"{result['n']:,} labelled texts, model {result['model_id']}", ""]
    for name in ("accuracy", "precision", "recall", "f1"):
        lines.append(_figure(f"detector {name}", result["detector"][name], result["intervals"]["detector"].get(name)))
    intervals = result["intervals"].get("categoriser", {})
    for name in ("label_accuracy", "hamming_loss", "macro_f1"):
        lines.append(_figure(f"categoriser {name}", result["categoriser"][name], intervals.get(name)))
    for label, figures in result["categoriser"]["per_label"].items():
        lines.append(_figure(f"  {label} f1", figures["f1"], intervals.get("per_label", {}).get(label, {}).get("f1")))
    return "\n".join(lines)


def _figure(name: str, value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return f"{name:<30}     –"
    return f"{name:<30}{value:>7.3f}" + (f"   ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")
