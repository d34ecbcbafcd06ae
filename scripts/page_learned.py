"""The sections on learned textures of docs/benchmarks.md."""

from typing import Any

from page_table import table

Part = dict[str, Any]

REGIONS = ("unseen+mirrored", "unseen", "direct")
SCORES = ("psnr", "ssim", "lpips", "too_dark")
WORDS = {
    "procedural": "Procedural figures, misaligned on purpose; held-out figures from three random sides",
    "smpl": "Clothed people over the SMPL layout; one front photograph of each held-out subject",
    "makehuman": "Skins over the MakeHuman layout, learned from CC0 ones only (what ships); one front photograph of each "
    "held-out subject",
    "box": "Game skins of a box figure; one front photograph of each held-out subject",
}


def learned_textures(result: Part) -> str:
    """Scores on held-out subjects beside plain fills, and what parts of the sampler are worth."""
    sections = [
        "## Learned textures\n\n`predicted` is the result of sampler and refiner with trusted observed texels put back, "
        "`sampled` and `refined` are its parts, `sampler only` is the result of a sampler without a refiner. Means over "
        "held-out samples.\n"
    ]
    parts = result["parts"]
    sections += [_scores(WORDS[name], parts[name]) for name in WORDS if name in parts]
    if "ablations" in parts:
        sections.append(_ablations(parts["ablations"]))
    return "\n".join(sections)


def _scores(words: str, part: Part) -> str:
    size = part["training"]["sampler"]["size"]
    trainings = ", ".join(
        f"{name} {found['steps']} steps of {found['batch']} in {found['seconds'] / 60:.0f} min"
        for name, found in part["training"].items()
    )
    rows = []
    for region in REGIONS:
        for row in (row for row in part["rows"] if row["region"] == region):
            name = f"**{row['method']}**" if row["method"] == "predicted" else row["method"]
            rows.append([region, name, *(_number(row.get(score)) for score in SCORES)])
    head = ("texels", "method", "PSNR", "SSIM", "LPIPS", "too dark")
    seconds = {str(size): part["predict_seconds"], **part.get("predict_seconds_at", {})}
    takes = ", ".join(f"{value:.2f} s at {side}^2" for side, value in seconds.items())
    facts = f"{size}^2; {trainings}; networks and all around them take {takes}.\n\n"
    return f"### {words}\n\n{facts}" + table(head, rows)


def _ablations(part: Part) -> str:
    words = "Samplers alone on procedural figures, one seed; PSNR of what was sampled.\n\n"
    lengths = [(part["steps"], part["rows"]), (part.get("long_steps"), part.get("long_rows", {}))]
    rows = [
        [steps, name, *(f"{found[region]['psnr']:.2f}" for region in REGIONS), _number(found["unseen"]["too_dark"])]
        for steps, samplers in lengths
        for name, found in samplers.items()
    ]
    return (
        "### What parts of the sampler are worth\n\n" + words + table(("steps", "sampler", *REGIONS, "too dark"), rows)
    )


def learned_prior(result: Part) -> str:
    """What a prior is worth in a scene fit with few photographs."""
    rows = []
    for count, methods in result["photos"].items():
        for method, found in methods.items():
            scores = (found.get(side, {}).get(key) for side, key in PRIOR_COLUMNS.values())
            rows.append([count, method, *map(_number, scores)])
    words = (
        f"## Priors in scene fits: {result['preset']}\n\nBodies in {', '.join(result['textures'])}, which nothing was learned from, fitted (`{result['preset']}`) "
        "to few photographs each and judged in held-out ones all around, over all of the surface; PSNR, means over bodies. `none` fills smoothly what no "
        "photograph shows, `unfilled` is the same with mid-grey there, `learned` leans on what networks predict, `both` starts from that, too. Run: `python "
        f"benchmarks/learned_prior.py --preset {result['preset']} --checkpoint C`.\n\n"
    )
    return words + table(("photographs", "method", *PRIOR_COLUMNS), rows)


PRIOR_COLUMNS = {
    "all": ("mean", "psnr"),
    "seen": ("mean", "psnr_seen"),
    "unseen": ("mean", "psnr_unseen"),
    "back views": ("back", "psnr"),
    "unseen in back views": ("back", "psnr_unseen"),
}
"""Columns by side and score."""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
