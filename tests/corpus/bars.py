"""The bars of issue 5 over a score: which fail, and by how much (so that a mutation can be told from an older miss)."""

from typing import Any

WHOLE = (
    "references",
    "references_inside",
    "frame_of_reference",
    "sr_uidref",
    "intervals",
    "suv",
    "one_pseudonym",
)
LARGEST_HELD_SHARE = 0.02


def missing(report: dict[str, Any], side: str, category: str) -> int:
    passed, asked = report[side]["by_category"].get(category, (0, 0))
    return int(asked - passed)


def burned_in(report: dict[str, Any]) -> list[str]:
    return [c for c in report["privacy"]["by_category"] if c.startswith("burned_in")]


def unexpected(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Objects of ours that were held though nothing in them has to be."""
    return [r for r in report["refused"] if not r["expected"] and r["case"] != "pydicom"]


def failed(report: dict[str, Any]) -> dict[str, int]:
    """Bar → how many misses, for each bar that is not reached."""
    privacy, utility = report["privacy"], report["utility"]
    lost = sum(asked - passed for passed, asked in utility["by_category"].values())
    clean = utility["by_category"].get("pixels_clean", (1, 1))
    held = unexpected(report)
    found = {
        "privacy": sum(asked - passed for passed, asked in privacy["by_category"].values()),
        "utility": lost if utility["micro"] < 99 or utility["macro"] < 98.5 else 0,
        "leaking files": len(report["leaking_files"]),
        "clean pixels": clean[1] - clean[0] if clean[0] < 0.98 * clean[1] else 0,
        "held": len(held) if len(held) > LARGEST_HELD_SHARE * report["files"] else 0,
        "lost": len(report["lost"]),
        "new IOD errors": len(report["new_iod_errors"]),
        **{category: missing(report, "utility", category) for category in WHOLE},
        **{category: missing(report, "privacy", category) for category in burned_in(report)},
    }
    return {bar: misses for bar, misses in found.items() if misses}
