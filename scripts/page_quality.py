"""The section on quality of docs/benchmarks.md, its plots, and the table of README.md."""

from pathlib import Path
from typing import Any

from page_scatter import Point, scatter
from page_table import table

SCORES = ("psnr", "ssim", "lpips", "psnr_fit", "ssim_fit", "lpips_fit", "sharpness")
HEAD = ("PSNR", "SSIM", "LPIPS", "PSNR fit", "SSIM fit", "LPIPS fit", "sharpness")
FITTED = ("psnr_fit", "ssim_fit", "lpips_fit")
SHORT = {
    "weighted average per texel": "average",
    "best view per texel": "best view",
    "weighted_average": "average",
    "best_view": "best view",
    "NeuralTexGen (60 steps, half-size images, 1024, no VGG)": "NeuralTexGen",
    "NeuralTexGen (as above)": "NeuralTexGen",
    "Open3D project_images_to_albedo": "Open3D albedo",
    "Open3D color_map rigid, 300 iterations (vertex colors)": "Open3D color_map",
    "Open3D color_map rigid, 300 iterations": "Open3D color_map",
    "OpenMVS 2.3.0 TextureMesh": "OpenMVS",
    "mvs-texturing texrecon": "texrecon",
    "mvs-texturing texrecon, gauss_clamping": "texrecon",
}
"""Names of peers in the plots."""
COUNTED = ("preset", "baseline", "peer", "bounded")

Row = dict[str, Any]


def quality(result: dict[str, Any], images: Path) -> str:
    """Scores on held-out photographs beside the peers, verdicts and goals; writes the plots."""
    parts = [
        "## Quality on held-out photographs\n\nThe neutral evaluator scores every method on the same cameras, masks and "
        "mesh; `fit` columns follow a gain and bias per image and channel. Published peers were run from public source "
        "on the same kind of machine. `aligned`: each held-out camera is first aligned to the method's own finished "
        "texture (texture fixed, six numbers), for every method alike; `moved` is how far [px].\n"
    ]
    for scene in dict.fromkeys(row["scene"] for row in result["rows"]):
        parts += _scene(scene, result, images)
    parts += [_goals(result), _verdicts(result), _raw_cameras(result), _seams(result)]
    return "\n".join(part for part in parts if part)


def readme_table(result: dict[str, Any]) -> str:
    """The short version: fitted scores and seconds."""
    parts = [
        "Held-out photographs of two real scenes, scored by a neutral evaluator after a color fit per image; two CPU cores.\n"
    ]
    for scene, peers in result["peers"].items():
        ours = [row for row in result["rows"] if row["scene"] == scene and row["kind"] == "preset"]
        rows = [
            [f"**neuraltex `{row['method']}`**", *(f"**{row['scores'][n]:.3f}**" for n in FITTED), _seconds(row)]
            for row in ours
        ]
        rows += [[peer["method"], *(peer[name] for name in FITTED), peer["seconds"]] for peer in peers]
        parts.append(table((scene, "PSNR", "SSIM", "LPIPS", "seconds"), rows))
    parts.append("All figures, with memory, raw scores and speed: [docs/benchmarks.md](docs/benchmarks.md).")
    return "\n".join(parts)


def _scene(scene: str, result: dict[str, Any], images: Path) -> list[str]:
    rows = [row for row in result["rows"] if row["scene"] == scene]
    peers = result["peers"].get(scene, [])
    lines = [_line(row) for row in rows if row["kind"] in COUNTED]
    lines += [
        [f"{peer['method']}, published", *(peer[n] for n in SCORES), peer["seconds"], peer["gb"]] for peer in peers
    ]
    parts = [f"### {scene}\n", table((scene, *HEAD, "s", "GB"), lines)]
    aligned = [[_name(row), *_scores(row, "aligned", FITTED), row["moved_px"]] for row in rows if row.get("aligned")]
    if aligned:
        parts.append(table((f"{scene}, aligned", "PSNR fit", "SSIM fit", "LPIPS fit", "moved"), aligned))
    curve = [row for row in rows if row["kind"] == "curve"]
    if curve:
        lines = [[_name(row), *_scores(row, "scores", FITTED)] for row in curve]
        parts.append(table((f"{scene}, sharpness knobs", "PSNR fit", "SSIM fit", "LPIPS fit"), lines))
    if peers:
        parts.append(_plots(scene, rows, peers, images))
    return parts


def _plots(scene: str, rows: list[Row], peers: list[Row], images: Path) -> str:
    """Write the plots of a scene; published points are known through the cameras as given only."""
    links = []
    for key, words in (("scores", "cameras as given"), ("aligned", "cameras aligned to each texture")):
        points = [_point(row, key) for row in rows if row.get(key)]
        if key == "scores":
            points += [Point(_short(p["method"]), p["psnr_fit"], p["lpips_fit"], "published") for p in peers]
        if not points:
            continue
        path = images / f"quality_{scene}{'_aligned' if key == 'aligned' else ''}.svg"
        title = f"{scene}, {words}: upper right is better"
        path.write_text(scatter(title, "PSNR fit [dB]", "LPIPS fit (downwards)", points), encoding="utf-8")
        links.append(f"![PSNR and LPIPS of all methods on {scene}, {words}]({images.name}/{path.name})\n")
    return "\n".join(links)


def _point(row: Row, key: str) -> Point:
    name = f"{row['knob'].split('.')[-1]} {row['value']}" if row["kind"] == "curve" else _short(row["method"])
    kind = "baseline" if row["kind"] == "bounded" else row["kind"]
    curve = row["method"].partition("=")[0] if row["kind"] == "curve" else ""
    return Point(name, row[key]["psnr_fit"], row[key]["lpips_fit"], kind, curve)


def _goals(result: dict[str, Any]) -> str:
    lines = []
    for item in result.get("goals", []):
        cells = [
            f"{'met' if item['met'][name] else 'missed'} ({item['goal'][name]}, {item['leads'][name]:+.3f})"
            for name in FITTED
        ]
        at_once = "**met**" if all(item["met"].values()) else "missed"
        lines.append([item["scene"], item["cameras"], *cells, at_once])
    head = ("scene", "cameras", "PSNR fit", "SSIM fit", "LPIPS fit", "at once")
    words = (
        "### Goal of `quality`: better than the best of every column at once\n\nIn brackets the bar and our lead.\n\n"
    )
    return words + table(head, lines) if lines else ""


def _verdicts(result: dict[str, Any]) -> str:
    lines = [
        [
            item["scene"],
            f"{item['peer']}, {item['origin']}",
            item["cameras"],
            "yes, by " + ", ".join(f"`{name}`" for name in item["dominated_by"]) if item["dominated_by"] else "**no**",
            f"`{item['nearest']}`: " + ", ".join(f"{item['leads'][name]:+.3f}" for name in FITTED),
        ]
        for item in result.get("verdicts", [])
    ]
    head = ("scene", "peer", "cameras", "beaten in PSNR, SSIM and LPIPS at once", "lead of the nearest preset")
    return "### Peer by peer\n\n" + table(head, lines) if lines else ""


def _seams(result: dict[str, Any]) -> str:
    lines = [
        [row["scene"], _name(row), f"{row['seam_jump_255']:.2f}", "met" if row["seam_jump_255"] < 1 else "**missed**"]
        for row in result["rows"]
        if row["kind"] == "preset" and row.get("seam_jump_255") is not None
    ]
    words = "### Seams\n\nMedian color jump across the cut edges of charts [1/255]; target 1.\n\n"
    return words + table(("scene", "method", "jump", ""), lines) if lines else ""


def _raw_cameras(result: dict[str, Any]) -> str:
    """The kitchen from uncalibrated cameras beside the data folder's two calibrations."""
    scenes = ("kitchen_raw", "kitchen_rig", "kitchen_edges")
    rows = [row for row in result["rows"] if row["scene"] in scenes]
    if len({row["scene"] for row in rows}) < len(scenes):
        return ""
    lines = []
    for preset in dict.fromkeys(row["method"] for row in rows):
        found = {row["scene"]: row["scores"]["psnr_fit"] for row in rows if row["method"] == preset}
        if len(found) == len(scenes):
            bar = max(found["kitchen_rig"], found["kitchen_edges"])
            lines.append(
                [
                    f"`{preset}`",
                    *(f"{found[scene]:.3f}" for scene in scenes),
                    "met" if found["kitchen_raw"] >= bar else "missed",
                ]
            )
    words = (
        "### Kitchen from raw cameras\n\nColor-fitted PSNR from the depth camera's poses and a nominal focal length, beside "
        "the data folder's two calibrations taken as they are; the bar is the better of the two.\n\n"
    )
    return words + table(("preset", *scenes, "verdict"), lines)


def _line(row: Row) -> list[Any]:
    return [_name(row), *_scores(row, "scores", SCORES), _seconds(row), row["optimize"].get("peak_gb") or ""]


def _scores(row: Row, key: str, columns: tuple[str, ...]) -> list[str]:
    mark = "**" * (row["kind"] == "preset")
    return [f"{mark}{row[key][name]:.3f}{mark}" for name in columns]


def _name(row: Row) -> str:
    words = {
        "preset": f"**neuraltex `{row['method']}`**",
        "baseline": f"{_short(row['method'])}, run here",
        "peer": f"{row['method']}, run here",
        "bounded": f"`{row['method']}`, {row.get('steps')} of {row.get('steps_of')} steps",
        "curve": f"`{row['method']}`",
    }
    return words[row["kind"]]


def _seconds(row: Row) -> Any:
    seconds = row["optimize"].get("seconds")
    if row["kind"] == "bounded":
        return f"{seconds:.0f} (all: {row['extrapolated_seconds']:.0f}, extrapolated)"
    return "" if seconds is None else round(seconds)


def _short(name: str) -> str:
    return SHORT.get(name, name)
