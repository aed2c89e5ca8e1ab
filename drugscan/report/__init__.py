"""The report: one HTML page that needs nothing but itself, and that nothing in a message can change."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

import jinja2
import markupsafe
import polars as pl

from drugscan.report import charts

ROWS: Final = 100
"""Rows of the long tables that stand in the page; the CSV files beside it have all."""
TEXT_LENGTH: Final = 600
_CONTROL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
_EQUATIONS: Final = (
    ("read", ("kept", "rejects", "service", "private")),
    ("kept", ("current", "duplicates", "superseded")),
    ("current", ("scored", "empty", "pending", "failed", "outside")),
    ("scored", ("listings", "below_threshold")),
)
_MEANINGS: Final = {
    "read": "everything found in the input",
    "kept": "messages",
    "rejects": "could not be read",
    "service": "Telegram's own notices",
    "private": "in personal chats, skipped",
    "current": "messages, each once",
    "duplicates": "copies in overlapping exports",
    "superseded": "older versions of edited messages",
    "scored": "with text, scored",
    "empty": "without text",
    "pending": "not scored yet",
    "failed": "could not be scored",
    "outside": "outside the chosen period or chats",
    "listings": "ads",
    "below_threshold": "no ads",
}


@dataclass(frozen=True)
class Report:
    """What a page is made from: the tables of `statistics.STATISTICS` (texts masked), the ledger, and run.json."""

    tables: Mapping[str, pl.DataFrame]
    ledger: Mapping[str, int]
    provenance: Mapping[str, object]


def render(report: Report) -> str:
    """The page. Every text goes through autoescape; script and style are allowed by their hashes alone."""
    style, script = asset("style.css"), asset("sort.js")
    template = template_of("page.html")
    tables = report.tables
    any_ads = tables["totals"]["messages"][0] > 0
    return template.render(
        style=markupsafe.Markup(style),
        script=markupsafe.Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src {allowed(style)}; script-src {allowed(script)}",
        totals=tables["totals"].row(0, named=True),
        pictures=_pictures(tables) if any_ads else {},
        tables={name: table.head(ROWS).to_dicts() for name, table in tables.items()},
        sizes={name: table.height for name, table in tables.items()},
        equations=_EQUATIONS,
        meanings=_MEANINGS,
        ledger=report.ledger,
        lifetimes=lifetimes_of(tables),
        rejects={name.removeprefix("rejects."): n for name, n in report.ledger.items() if name.startswith("rejects.")},
        provenance=report.provenance,
        facts=_CONTROL.sub("\ufffd", json.dumps(report.provenance, indent=1, ensure_ascii=False, default=str)),
    )


def lifetimes_of(tables: Mapping[str, pl.DataFrame]) -> dict[str, dict[str, float | None]]:
    """Figure -> value, lower and upper of the sellers whose first day is known; empty without table."""
    if "lifetime_summary" not in tables:
        return {}
    known = tables["lifetime_summary"].filter(cohort="first_day_known")
    return {row["figure"]: {name: row[name] for name in ("value", "lower", "upper")} for row in known.to_dicts()}


def _pictures(tables: Mapping[str, pl.DataFrame]) -> dict[str, str]:
    """The charts as data URLs: an image cannot run anything, and needs no style of its own."""
    drawn = {
        "map": charts.province_map(tables["provinces"], tables["places"]),
        "labels": charts.label_bars(tables["labels"]),
    }
    # results of an earlier version do not have all tables
    if "timeline" in tables:
        drawn["timeline"] = charts.timeline(tables["timeline"])
    if "lifetimes" in tables:
        drawn["survival"] = charts.survival(tables["lifetimes"])
    return {name: data_url(svg) for name, svg in drawn.items()}


def template_of(name: str, **filters: Callable[..., str]) -> jinja2.Template:
    """A page template of this folder, with filters of its own: all is escaped, what is not defined is an error."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": number, "shown": shown, "day": day, "percent": percent, "euro": euro, **filters}
    return environment.from_string(asset(name))


def data_url(svg: str) -> str:
    """A picture as a data URL for `img`, where it cannot run anything."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def number(value: float | int | None) -> str:
    """A count with thin spaces between thousands; a dash for nothing."""
    if value is None:
        return "–"
    return f"{value:,.0f}".replace(",", "\u202f")


def percent(value: float | None) -> str:
    """A share as a percentage."""
    return "–" if value is None else f"{value:.1%}"


def euro(value: float | None) -> str:
    """A price with its cents."""
    return "–" if value is None else f"{value:,.2f}".replace(",", "\u202f")


def day(value: object) -> str:
    """A moment as its day."""
    return "–" if value is None else str(value)[:10]


def shown(text: object) -> str:
    """A text as people may safely see it: control and direction characters visible, very long ones cut."""
    plain = _CONTROL.sub("\ufffd", str(text)) if text is not None else "–"
    return plain if len(plain) <= TEXT_LENGTH else plain[:TEXT_LENGTH] + " […]"


def asset(name: str) -> str:
    """The content of a file of this folder."""
    return (resources.files("drugscan") / "report" / name).read_text(encoding="utf-8")


def allowed(content: str) -> str:
    """A content-security-policy source for an inline element with exactly this content."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() + "'"
