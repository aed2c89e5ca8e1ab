"""The import rules of docs/design.md: modules import downwards only, ray and click stand in one module each."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "drugscan"
LAYERS = {
    0: {"schema", "settings", "storage", "storage_errors", "remote", "corpus", "text", "keys"},
    1: {
        "inputs",
        "formats",
        "models",
        "places",
        "gazetteer",
        "disguises",
        "national",
        "contacts",
        "handles",
        "phones",
        "near_copies",
        "drug_names",
        "prices",
        "batching",
        "demo_texts",
        "demo_sellers",
        "demo_exports",
        "demo_truth",
    },
    2: {
        "columns",
        "ingest",
        "score",
        "versions",
        "listings",
        "given",
        "linking",
        "sellers",
        "lifetimes",
        "substances",
        "families",
        "price_statistics",
        "totals",
        "timeline",
        "hours",
        "completeness",
        "statistics",
        "aggregate",
        "ledger",
        "compact",
        "measures",
        "resampling",
        "calibration",
        "mistakes",
        "evaluation",
        "comparison",
        "training",
        "demo",
        "augmentation",
        "optimisation",
        "estimates",
        "pretrained",
        "card",
        "sharing",
        "upload",
        "encoder_training",
        "merged_training",
        "stacking",
        "audit",
        "audit_sample",
        "audit_frame",
        "audit_labels",
        "audit_figures",
        "agreement",
        "prevalence",
    },
    3: {
        "stages",
        "stateless",
        "actors",
        "cluster",
        "report",
        "publish",
        "progress",
        "show",
        "show_audit",
        "audit_sheet",
        "export",
        "export_gexf",
    },
    4: {"cli", "options", "steps", "model_commands", "export_commands", "audit_commands"},
}
LAYER = {module: layer for layer, modules in LAYERS.items() for module in modules}
ALONE = {
    "ray": {"cluster"},
    "click": {"cli", "options", "steps", "model_commands", "export_commands", "audit_commands"},
}
NEVER_AT_IMPORT = {"torch", "transformers", "sklearn"}
ON_TORCH = {
    "drugscan.models.device",
    "drugscan.models.encoder",
    "drugscan.models.cascade",
    "drugscan.models.huggingface",
    "drugscan.pretrained",
    "drugscan.sharing",
    "drugscan.encoder_training",
    "drugscan.optimisation",
    "drugscan.merged_training",
    "drugscan.stacking",
}
"""Modules that rest on torch; nobody else imports them before they are used."""


def _imports(path: Path, everywhere: bool) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if everywhere else iter(tree.body)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _module(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_every_module_has_a_layer() -> None:
    names = {_module(path) for path in PACKAGE.rglob("*.py")} - {"__init__"}
    assert names == set(LAYER)


def test_imports_point_down() -> None:
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        here = _module(path)
        for name in _imports(path, everywhere=True):
            parts = name.split(".")
            if parts[0] != "drugscan" or len(parts) < 2 or parts[1] in ("__version__", here) or here == "__init__":
                continue
            if LAYER[parts[1]] > LAYER[here]:
                wrong.append(f"{path.name} imports {name}")
    assert wrong == []


def test_ray_and_click_stand_in_one_module_each() -> None:
    for package, allowed in ALONE.items():
        users = {_module(p) for p in PACKAGE.rglob("*.py") for n in _imports(p, True) if n.split(".")[0] == package}
        assert users == allowed


def test_heavy_packages_are_imported_when_used() -> None:
    for path in PACKAGE.rglob("*.py"):
        if ".".join(("drugscan", *path.relative_to(PACKAGE).with_suffix("").parts)) in ON_TORCH:
            continue
        for name in _imports(path, everywhere=False):
            heavy = name.split(".")[0] in NEVER_AT_IMPORT or any(f"{name}.".startswith(f"{m}.") for m in ON_TORCH)
            assert not heavy, (path.name, name)


def test_no_module_is_long_and_no_function_has_many_parameters() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 300, path.name
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                assert len(node.args.args) <= 5, (path.name, node.name)
                assert (node.end_lineno or 0) - node.lineno <= 50, (path.name, node.name)


def test_help_needs_no_heavy_package() -> None:
    code = "import sys, drugscan.cli; print(sorted({'ray','polars','torch','pyarrow','numpy'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
