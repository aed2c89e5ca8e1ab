"""Results as text for a terminal."""

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl


def summary(tables: Mapping[str, pl.DataFrame], facts: Mapping[str, Any], audited: str = "not audited") -> str:
    """The headline figures and the first rows of what people look for; `audited` stands behind the count of ads."""
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
    lines[2] += f"   {totals['share']:.1%} of all messages; {audited}"
    if totals["messages"]:
        lines[3] += f"   each posted {totals['copies_per_text']:.0f} times on average"
        lines[5:5] = _sellers(tables)
        lines.append(f"{'first and last ad':<24}{totals['first_seen']:%Y-%m-%d} to {totals['last_seen']:%Y-%m-%d}")
    lines += ["", *_top("label", tables["labels"].rename({"label": "name"}), 8)]
    if "drugs" in tables:  # results of an earlier version have none
        lines += ["", *_top("drug", tables["drugs"].rename({"drug": "name"}), 8)]
    lines += ["", *_top("province", tables["provinces"].rename({"province": "name"}), 5)]
    lines += ["", _ledger(ledger)]
    return "\n".join(lines)


def _sellers(tables: Mapping[str, pl.DataFrame]) -> list[str]:
    """How many sellers the accounts are, with the bounds of that; nothing for results of an earlier version."""
    if "seller_counts" not in tables:
        return []
    counts = tables["seller_counts"].row(0, named=True)
    bounds = f"linked by contact handle; {counts['lower']:,} to {counts['upper']:,}"
    return [f"{'sellers':<24}{counts['linked_sellers']:>14,}   {bounds}"]


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
    """The figures of `drugscan evaluate` with their intervals, and the difference with another model."""
    lines = [f"{result['n']:,} labelled texts, {result['ads']:,} of them ads; model {result['model_id']}"]
    if result["trained_on"]:
        lines.append(f"The model was trained on {', '.join(result['trained_on'])}: these figures flatter it.")
    lines += ["", *_figures(result, _figure), "", f"{'calibration':<30}{'ECE':>7}{'by chance':>13}{'Brier':>9}"]
    for output, row in result["calibration"].items():
        if row["ece"] is not None:
            lines.append(f"  {output:<28}{row['ece']:>7.3f}{row['ece_by_chance']:>13.3f}{row['brier']:>9.3f}")
    if result["files"]:
        lines += ["", f"{'file':<44}{'texts':>7}{'accuracy':>10}{'labels':>9}"]
        for name, row in result["files"].items():
            lines.append(
                f"{name[-43:]:<44}{row['n']:>7,}{_share(row['accuracy']):>10}{_share(row['label_accuracy']):>9}"
            )
    return "\n".join(lines + _comparison(result.get("comparison")))


def _comparison(found: Mapping[str, Any] | None) -> list[str]:
    """The difference with the other model, in percentage points; an asterisk where its interval excludes zero."""
    if found is None:
        return []
    lines = ["", f"minus {found['other_model_id']}, in percentage points; * = the interval excludes zero"]
    lines += _figures({**found["difference"], "intervals": found["intervals"]}, _difference)
    for side, model in (("only_one", "model_id"), ("only_other", "other_model_id")):
        detector, labels = found[side]["detector"]["n"], found[side]["labels"]["n"]
        lines.append(f"only {found[model]} is right: {detector:,} texts, {labels:,} labels")
    return lines


def _figures(result: Mapping[str, Any], told: Callable[[str, float | None, Any], str]) -> list[str]:
    """A line for every headline figure and the F1 of each label."""
    lines, intervals = [], result["intervals"].get("detector", {})
    for name in ("accuracy", "precision", "recall", "f1"):
        lines.append(told(f"detector {name}", result["detector"][name], intervals.get(name)))
    intervals = result["intervals"].get("categoriser", {})
    for name in ("label_accuracy", "hamming_loss", "macro_f1"):
        lines.append(told(f"categoriser {name}", result["categoriser"][name], intervals.get(name)))
    for label, figures in result["categoriser"]["per_label"].items():
        lines.append(told(f"  {label} f1", figures["f1"], intervals.get("per_label", {}).get(label, {}).get("f1")))
    return lines


def _figure(name: str, value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return f"{name:<30}     –"
    return f"{name:<30}{value:>7.3f}" + (f"   ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


def _difference(name: str, value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None or interval is None:
        return f"{name:<30}     –"
    low, high = interval
    mark = "*" if low > 0 or high < 0 else " "
    return f"{name:<30}{100 * value:>+7.1f} {mark} ({100 * low:+.1f} to {100 * high:+.1f})"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
