"""``neuraltex compare``: runs and foreign textured meshes judged by one renderer on held-out photographs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from neuraltex.core.errors import DataError, OutputError, UsageError
from neuraltex.core.files import claim_output_dir, write_json, write_text
from neuraltex.core.runtime import logger, progress, resolve_device
from neuraltex.stages.common import Common, Result

if TYPE_CHECKING:
    from neuraltex.io.prepared import PreparedScene
    from neuraltex.losses.lpips import Lpips
    from neuraltex.report.values import Comparison
    from neuraltex.stages.compare_regions import TextureRegions


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Score runs and foreign textured meshes on held-out photographs; HTML report."""

    data: Path
    """Prepared scene whose held-out photographs judge."""
    output_dir: Path
    """Folder to write: index.html, metrics.json, masks."""
    runs: tuple[Path, ...] = ()
    """Run folders (output of neuraltex optimize)."""
    meshes: tuple[Path, ...] = ()
    """Textured meshes of other programs (obj, ply, glb) in the coordinates of the scene."""
    masks: Path | None = None
    """Folder of given evaluation masks, NAME.png; by default what two training views show too."""
    judge: Literal["seen", "surface"] = "seen"
    """seen: score what two training views show; surface: score all of the mesh, and apart from each other what training
    views show and what none does, for textures that were predicted in part."""
    lpips: bool = True
    """Also score the perceptual distance LPIPS; its weights are downloaded once."""
    vgg_weights: Path | None = None
    """VGG16 weights for LPIPS; by default from the cache or downloaded."""
    lpips_weights: Path | None = None
    """LPIPS heads; by default from the cache or downloaded."""
    align: bool = False
    """Also score with the camera of each held-out photograph aligned to each finished texture, which stays fixed."""
    supersampling: int = 2
    """Samples per pixel along each axis."""
    max_pictures: int = 24
    """Views shown as pictures on the page, evenly spread; all views are scored."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where LPIPS is computed."""

    def __post_init__(self) -> None:
        if not 1 <= self.supersampling <= 8:
            raise UsageError(f"{self.supersampling} is not in [1, 8]", source="--supersampling")
        if self.masks is not None and self.judge == "surface":
            raise UsageError("masks are given, so all of the surface cannot be judged", source="--judge, --masks")


def run(config: Config) -> Result:
    """Score everything and write ``index.html`` and ``metrics.json``.

    Raises:
        UsageError: if there is nothing to compare.
        DataError: if the scene holds out no photograph, or a run, mesh or mask cannot be read.
        OutputError: if the folder holds another result and ``overwrite`` is not given, or cannot be written.
    """
    from neuraltex.io.prepared import read_prepared
    from neuraltex.report.data import comparison_data
    from neuraltex.report.page import build_page

    if not config.runs and not config.meshes:
        raise UsageError("there is nothing to compare", source="neuraltex compare", hint="Pass --runs R or --meshes M")
    scene = read_prepared(config.data)
    if not scene.split("test"):
        hint = "Prepare the scene again with --test-every 8"
        raise DataError(f"{config.data} holds out no photograph, so nothing can be scored", hint=hint)
    claim_output_dir(config.output_dir, overwrite=config.overwrite)
    comparison = compare(config, scene)
    data = {**comparison_data(comparison), "data": str(config.data), "settings": _settings(config)}
    write_json(config.output_dir / "metrics.json", data)
    page = write_text(config.output_dir / "index.html", build_page(comparison))
    for name, mean in ((method["name"], method["mean"]) for method in data["methods"]):
        logger.info("%s: %s", name, ", ".join(f"{key} {value:.4g}" for key, value in mean.items() if value is not None))
    return Result(page, data)


def compare(config: Config, scene: PreparedScene) -> Comparison:
    """Score all methods on all held-out views; writes the evaluation masks it used."""
    from neuraltex.report.pictures import evenly
    from neuraltex.report.values import Comparison
    from neuraltex.stages.compare_methods import load_contenders
    from neuraltex.stages.compare_views import Judge

    regions = _texture_regions(scene) if config.judge == "surface" else None
    contenders, notes = load_contenders(config.runs, config.meshes, scene, regions)
    lpips, missing = _load_lpips(config)
    judge = Judge(
        scene,
        contenders,
        lpips,
        config.masks,
        config.supersampling,
        config.output_dir / "masks",
        align=config.align,
        surface=config.judge == "surface",
    )
    views = scene.split("test")
    shown = {view.name for view in evenly(views, max(config.max_pictures, 0))} if config.max_pictures else set()
    pictures = [judge.score(view, picture=view.name in shown) for view in progress(views, label="scoring", unit="view")]
    if not judge.rows:
        hint = "Check that the faces are oriented outwards, or pass --judge surface or --masks"
        raise DataError("no held-out photograph shows a surface that two training views show", hint=hint)
    methods = tuple(
        contender.method({view: rows[contender.name] for view, rows in judge.rows.items()}) for contender in contenders
    )
    return Comparison(
        scene=str(scene.info.get("name", config.data.name)),
        methods=methods,
        views=tuple(picture for picture in pictures if picture is not None),
        facts=_scene_facts(scene),
        protocol=_protocol(config, scene, refined=any(contender.cameras for contender in contenders)),
        notes=(*missing, *notes, *judge.notes),
        proof=_proof(scene),
        sides={} if regions is None else _sides(scene),
        regions=None if regions is None else regions.picture,
    )


def _texture_regions(scene: PreparedScene) -> TextureRegions:
    from neuraltex.stages.compare_regions import TextureRegions

    return TextureRegions.of(scene)


def _sides(scene: PreparedScene) -> dict[str, str]:
    from neuraltex.stages.compare_regions import held_out_sides

    return held_out_sides(scene)


def _load_lpips(config: Config) -> tuple[Lpips | None, tuple[str, ...]]:
    """Return the perceptual distance, or the reason for its absence: a comparison goes on without it."""
    if not config.lpips:
        return None, ()
    from neuraltex.io.weights import load_lpips_heads, load_vgg_weights
    from neuraltex.losses.lpips import Lpips

    try:
        lpips = Lpips(load_vgg_weights("vgg16", config.vgg_weights), load_lpips_heads(config.lpips_weights))
    except (DataError, OutputError) as error:
        if config.vgg_weights or config.lpips_weights:
            raise
        logger.warning("LPIPS is left out. %s", error)
        return None, (f"LPIPS is missing: {error}",)
    return lpips.to(resolve_device(config.device)).eval(), ()


def _settings(config: Config) -> dict[str, Any]:
    masks = None if config.masks is None else str(config.masks)
    names = ("supersampling", "lpips", "align", "judge")
    return {"masks": masks, **{name: getattr(config, name) for name in names}}


def _scene_facts(scene: PreparedScene) -> dict[str, str]:
    """What the page says about the scene."""
    info, camera = scene.info, scene.views[0].camera
    facts = {
        "Format": str(info.get("format", "")),
        "Photographs": f"{len(scene.split('train'))} to fit, {len(scene.split('test'))} held out",
        "Size": f"{camera.width} × {camera.height} px",
        "Mesh": f"{scene.mesh.num_faces:,} faces, {len(scene.mesh.vertices):,} vertices",
    }
    score = (info.get("alignment") or {}).get("score")
    if isinstance(score, (int, float)):
        facts["Alignment score"] = f"{score:.3g}"
    if notes := info.get("notes"):
        facts["Notes"] = "; ".join(map(str, notes))
    return {label: words for label, words in facts.items() if words}


def _protocol(config: Config, scene: PreparedScene, *, refined: bool) -> tuple[str, ...]:
    """How the numbers were made, in words."""
    surface = (
        "Scored pixels: all front faces of the common mesh, less what the user's masks exclude; seen are those that a "
        "training view shows (inside the image, not occluded, cosine above 0.2). The masks lie beside this page."
    )
    judged = (
        f"Scored pixels: the masks given in {config.masks.name}."
        if config.masks
        else surface
        if config.judge == "surface"
        else "Scored pixels: front faces of the common mesh that at least two training views show too (inside the "
        "image, not occluded, cosine above 0.2), less what the user's masks exclude. The masks lie beside this page."
    )
    names = ", ".join(view.name for view in scene.split("test"))
    cameras = []
    if refined:
        cameras.append(
            "A run that refined what photographs share (intrinsics, rig) is scored through held-out cameras with these "
            "refined parameters; their poses stay as they were."
        )
    if config.align:
        cameras.append(
            "Aligned columns: the pose of each held-out camera was aligned to each finished texture (six numbers, "
            "texture fixed), for every method alike, and scored on the same pixels after the color fit."
        )
    return (
        f"Held out and never fitted to: {names}.",
        "Every texture, ours or a foreign one, goes through one renderer: rays through "
        f"{config.supersampling} × {config.supersampling} samples per pixel, bilinear texture lookup, no lighting, "
        "no mip levels, box filter in the stored (sRGB) values.",
        f"{judged} They are the same for all methods. Pixels without texture count as mid-grey.",
        "Color fit: one gain and bias per image and channel, least squares over covered pixels, takes exposure and "
        "white balance out of the comparison. Raw values are without it. SSIM: Gaussian window, sigma 1.5 px. "
        "LPIPS: VGG16, v0.1; images longer than 1416 px are reduced by an integer factor first. "
        "All means are plain means over views.",
        *cameras,
    )


def _proof(scene: PreparedScene) -> Any:
    from neuraltex.io.images import read_rgb

    path = scene.path / "proof.jpg"
    return read_rgb(path) if path.is_file() else None
