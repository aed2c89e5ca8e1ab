"""The report: one HTML page that needs nothing but itself, and that nothing in a message can change."""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from importlib import resources
from typing import Any, Final

import jinja2
import markupsafe
import polars as pl

from drugscan.audit import Audit
from drugscan.report import charts, drawings, evidence, intervals, timelines
from drugscan.report.language import ENGLISH, LANGUAGES, Language
from drugscan.schema import KIND_LABELS

ROWS: Final = (100, 50, 25, 10)
"""Rows of the long tables that stand in the page, and fewer for a page that would be too large; the CSVs have all."""
MAX_BYTES: Final = 990_000
CELL_LENGTH: Final = 160
_ENTRIES: Final = 40
"""Entries of a list of the provenance, such as its inputs."""
_WIDTHS: Final = (1016, 360)
_EQUATIONS: Final = (
    ("read", ("kept", "rejects", "service", "private")),
    ("kept", ("current", "duplicates", "superseded")),
    ("current", ("scored", "empty", "pending", "failed", "outside")),
    ("scored", ("listings", "below_threshold")),
)


@dataclass(frozen=True)
class Report:
    """What a page is made from: the tables of `statistics.STATISTICS` (texts masked), the ledger, and run.json."""

    tables: Mapping[str, pl.DataFrame]
    ledger: Mapping[str, int]
    provenance: Mapping[str, Any]
    """`language` in it is the language of the page; English when it has none."""
    audit: Audit | None = None
    """What people found in a sample of exactly these messages; None: not audited."""


def render(report: Report) -> str:
    """The page. Every text goes through autoescape; script and style are allowed by their hashes alone.

    It is smaller than `MAX_BYTES` however large the tables are.
    """
    page = ""
    for rows in ROWS:
        page = _page(report, rows)
        if len(page.encode()) <= MAX_BYTES:
            break
    return page


def _page(report: Report, rows: int) -> str:
    style, script = asset("style.css"), asset("explore.js")
    language = LANGUAGES[str(report.provenance.get("language", ENGLISH.code))]
    tables, totals = report.tables, report.tables["totals"].row(0, named=True)
    shown = {name: table.head(rows).to_dicts() for name, table in tables.items()}
    shown["totals_by"] = tables["totals_by"].to_dicts()[-rows:] if "totals_by" in tables else []
    return template_of("page.html", language, cell=cell, rate=language.rate, sortable=sortable).render(
        t=language,
        style=markupsafe.Markup(style),
        script=markupsafe.Markup(script),
        policy=f"default-src 'none'; img-src data:; style-src {allowed(style)}; script-src {allowed(script)}",
        totals=totals,
        tables={name: some for name, some in shown.items() if name in tables},
        sizes={name: table.height for name, table in tables.items()},
        titles={row[:2]: row[2] for row in tables["chats"].select("peer_kind", "chat_id", "chat_title").rows()},
        equations=_EQUATIONS,
        ledger=report.ledger,
        lifetimes=lifetimes_of(tables),
        rejects={name.removeprefix("rejects."): n for name, n in report.ledger.items() if name.startswith("rejects.")},
        provenance=report.provenance,
        threshold=intervals.threshold(report.provenance, language),
        facts=evidence.visible(json.dumps(_short(report.provenance, language), indent=1, ensure_ascii=False)),
        **intervals.context(report.audit, language),
        **(
            _pictures(tables, shown, language)
            if totals["messages"]
            else {"data": safe_json({"words": _script_words(language)})}
        ),
    )


def _pictures(
    tables: Mapping[str, pl.DataFrame], shown: Mapping[str, list[dict[str, Any]]], language: Language
) -> dict[str, Any]:
    """What the template draws or marks, and what the script needs to draw it anew."""
    provinces = tables["provinces"]
    timeline = timelines.timeline_of(tables)
    map_facts, timeline_facts = drawings.facts_of_map(provinces, language), timelines.facts_of(timeline)
    return {
        "areas": drawings.areas(provinces),
        "dots": drawings.dots(tables["places"]),
        "legend": drawings.legend(drawings.shades_of(provinces, "per_100k")[1], language),
        "map_size": drawings.MAP_SIZE,
        "measures": drawings.MEASURES,
        "timeline": timeline,
        "everything": timeline.series[0] if timeline else None,
        "kinds": [series for label in KIND_LABELS if (series := timeline.named("label", label))] if timeline else [],
        "plots": [drawings.plot(len(timeline.months), width) for width in _WIDTHS] if timeline else [],
        "menu": timelines.menu(timeline, tables["chats"], language) if timeline else [],
        "survival": _survival(tables, language),
        "evidence": evidence.pieces(shown["texts"]),
        "data": safe_json({"words": _script_words(language), "map": map_facts, "timeline": timeline_facts}),
    }


def _script_words(language: Language) -> dict[str, str]:
    """What the script says, with its values still to be put in."""
    return {
        "rows": language.words["filter_rows"],
        "point": language.words["timeline_point"],
        "ads_only": language.words["timeline_ads"],
        "partly": language.words["timeline_partly"],
    }


def _survival(tables: Mapping[str, pl.DataFrame], language: Language) -> dict[str, str] | None:
    """The curve for light and for dark pages as data URLs; None while no seller has stopped, or without table."""
    if "lifetimes" not in tables or not tables["lifetimes"]["events"].sum():
        return None
    looks = {"light": charts.LIGHT, "dark": charts.DARK}
    return {name: data_url(charts.survival(tables["lifetimes"], language, look)) for name, look in looks.items()}


def lifetimes_of(tables: Mapping[str, pl.DataFrame]) -> dict[str, dict[str, float | None]]:
    """Figure -> value, lower and upper of the sellers whose first day is known; empty without table."""
    if "lifetime_summary" not in tables:
        return {}
    known = tables["lifetime_summary"].filter(cohort="first_day_known")
    return {row["figure"]: {name: row[name] for name in ("value", "lower", "upper")} for row in known.to_dicts()}


def _short(value: Any, language: Language) -> Any:  # noqa: ANN401 - whatever JSON holds
    """The provenance without the tails of long lists: an input of many files would make a large page."""
    if isinstance(value, Mapping):
        some = {str(key)[:CELL_LENGTH]: _short(each, language) for key, each in list(value.items())[:_ENTRIES]}
        more = len(value) - len(some)
        return some | ({language("more", count=language.number(more)): ""} if more > 0 else {})
    if isinstance(value, list | tuple):
        more = len(value) - _ENTRIES
        some_of_it = [_short(each, language) for each in value[:_ENTRIES]]
        return some_of_it + ([language("more", count=language.number(more))] if more > 0 else [])
    return value if isinstance(value, int | float | None) else str(value)[: 4 * CELL_LENGTH]


def safe_json(value: Any) -> markupsafe.Markup:  # noqa: ANN401 - whatever JSON holds
    """JSON for a script element: ASCII, and without the signs that could end the element or begin a comment."""
    encoded = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    for sign in "<>&":
        encoded = encoded.replace(sign, f"\\u{ord(sign):04x}")
    return markupsafe.Markup(encoded)


def template_of(name: str, language: Language = ENGLISH, **filters: Callable[..., Any]) -> jinja2.Template:
    """A page template of this folder, with filters of its own: all is escaped, what is not defined is an error."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    own = {each: getattr(language, each) for each in ("number", "exact", "percent", "euro", "day", "short_day")}
    environment.filters |= {"shown": shown, **own, **filters}
    return environment.from_string(asset(name))


def data_url(svg: str) -> str:
    """A picture as a data URL for `img`, where it cannot run anything."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def sortable(value: date | datetime | None) -> int:
    """A day as a number that sorts."""
    return -1 if value is None else value.toordinal()


def shown(text: object) -> str:
    """A text as people may safely see it: control and direction characters visible, very long ones cut."""
    return _cut(text, evidence.TEXT_LENGTH)


def cell(text: object) -> str:
    """As `shown`, for a name or a list in a table."""
    return _cut(text, CELL_LENGTH)


def _cut(text: object, length: int) -> str:
    plain = evidence.visible(str(text)) if text is not None else "–"
    return plain if len(plain) <= length else plain[:length] + " […]"


def asset(name: str) -> str:
    """The content of a file of this folder."""
    return (resources.files("drugscan") / "report" / name).read_text(encoding="utf-8")


def allowed(content: str) -> str:
    """A content-security-policy source for an inline element with exactly this content."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() + "'"
