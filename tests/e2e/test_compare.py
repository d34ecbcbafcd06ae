"""``neuraltex compare`` from the command line, and against the neutral evaluator."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from box_scene import SIZE, box_mesh, box_texture, write_box_run, write_box_scene

from neuraltex.cli import main
from neuraltex.core.errors import DataError, OutputError, UsageError
from neuraltex.core.files import write_json
from neuraltex.io.export import write_textured
from neuraltex.io.images import read_rgb, write_rgb
from neuraltex.io.prepared import read_prepared, write_prepared
from neuraltex.stages import compare


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_box_scene(tmp_path_factory.mktemp("a box ä") / "prepared").path


@pytest.fixture(scope="module")
def runs(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("runs")
    good = np.clip(box_texture().astype(int) + 6, 0, 255).astype(np.uint8)
    return [
        write_box_run(folder / "good", scene, good, "quality"),
        write_box_run(folder / "bad", scene, box_texture()[::-1].copy(), "quality"),
    ]


@pytest.fixture(scope="module")
def result(scene: Path, runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    peer = write_textured(folder / "peer mesh.glb", box_mesh(), np.full((SIZE, SIZE, 3), 128, np.uint8))
    flags = ["--data", scene, "--runs", *runs, "--meshes", peer, "--output-dir", folder / "c", "--no-lpips"]
    with pytest.raises(SystemExit) as code:
        main(["compare", *map(str, flags)])
    assert code.value.code == 0
    return folder / "c"


def means(result: Path) -> dict[str, dict[str, float]]:
    return {method["name"]: method["mean"] for method in json.loads((result / "metrics.json").read_text())["methods"]}


def test_everything_is_scored_and_equal_names_are_told_apart(result):
    assert list(means(result)) == ["quality (good)", "quality (bad)", "peer mesh", "ground truth"]
    views = json.loads((result / "metrics.json").read_text())["methods"][0]["views"]
    assert list(views) == ["view 00", "view 04", "view 08"]


def test_scores_order_methods_as_they_should(result):
    scores = means(result)
    good, bad, truth = (scores[name] for name in ("quality (good)", "quality (bad)", "ground truth"))
    assert truth["psnr"] > 45 > good["psnr"] > 30 > bad["psnr"]
    assert good["psnr_fit"] > good["psnr"] + 5  # a constant offset is what the fit removes
    assert 0.99 < good["coverage"] < 1  # the silhouette is covered in part
    assert (good["seconds"], good["peak_memory_gb"]) == (12.5, 0.75)
    assert good["seam_jump"] > 1, "sides of the box have colors of their own"
    assert good["psnr_truth"] == pytest.approx(20 * np.log10(255 / 6), abs=0.3)
    assert "seconds" not in scores["peer mesh"]
    data = json.loads((result / "metrics.json").read_text())
    assert data["best"]["psnr_fit"] == ["quality (good)"]


def test_the_page_shows_views_textures_curves_and_facts(result):
    page = (result / "index.html").read_text(encoding="utf-8")
    for text in (
        "view 04",
        "Texture of quality (good)",
        "train/loss/l1",
        "Proof sheet",
        "a box &amp; &lt;nothing&gt; else",
    ):
        assert text in page
    assert page.count('class="view"') == 3
    assert len(page) < 15e6


def test_the_masks_used_lie_beside_and_give_the_same_scores_again(result, scene, runs, tmp_path):
    masks = sorted(path.name for path in (result / "masks").iterdir())
    assert masks == ["view 00.png", "view 04.png", "view 08.png"]
    config = compare.Config(
        data=scene, runs=(runs[0],), output_dir=tmp_path / "again", masks=result / "masks", lpips=False, max_pictures=0
    )
    again = compare.run(config).data["methods"][0]["mean"]
    assert again["psnr"] == pytest.approx(means(result)["quality (good)"]["psnr"], abs=1e-9)
    assert 'class="view"' not in (tmp_path / "again" / "index.html").read_text(encoding="utf-8")


def test_user_masks_are_excluded(scene, runs, tmp_path):
    from neuraltex.io.prepared import read_prepared
    from neuraltex.stages.compare_methods import Contender, load_contenders
    from neuraltex.stages.compare_views import Judge

    opened = read_prepared(scene)
    contenders: list[Contender] = load_contenders((runs[0],), (), opened)[0]
    view = opened.split("test")[0]
    mask = np.zeros((view.camera.height, view.camera.width), np.uint8)
    mask[:, :40] = 255
    masked = replace(view, mask=write_rgb(tmp_path / "mask.png", mask))
    judge = Judge(opened, contenders, None, None, 1, tmp_path / "masks")
    judge.score(masked, picture=False)
    written = read_rgb(tmp_path / "masks" / f"{view.name}.png")[..., 0]
    assert written[:, :40].any()
    assert not written[:, 40:].any()


def test_without_lpips_weights_the_comparison_goes_on_and_says_so(scene, runs, tmp_path, monkeypatch):
    def unreachable(*_):
        raise DataError("no source can be reached", hint="Run: neuraltex doctor --fetch-weights")

    monkeypatch.setattr("neuraltex.io.weights.load_vgg_weights", unreachable)
    config = compare.Config(data=scene, runs=(runs[0],), output_dir=tmp_path / "c", max_pictures=0)
    data = compare.run(config).data
    assert any("LPIPS is missing" in note and "--fetch-weights" in note for note in data["notes"])
    assert "LPIPS is missing" in (tmp_path / "c" / "index.html").read_text(encoding="utf-8")


def test_a_run_fitted_to_the_held_out_photographs_is_named(scene, runs, tmp_path):
    from neuraltex.io.prepared import read_prepared, write_prepared
    from neuraltex.stages.compare_methods import load_contenders

    opened = read_prepared(scene)
    other = write_box_scene(tmp_path / "other")
    trained = tuple(
        type(view)(view.name, "train", view.camera, view.image, view.uv, view.confidence) for view in other.views
    )
    write_prepared(type(other)(other.path, other.mesh, SIZE, trained, other.info))
    cheat = write_box_run(tmp_path / "cheat", tmp_path / "other", box_texture(), "cheat")
    notes = load_contenders((cheat, runs[0]), (), opened)[1]
    assert len(notes) == 1
    assert "cheat was fitted to 3 of the held-out photographs" in notes[0]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"runs": ()}, UsageError, "nothing to compare"),
        ({"masks": Path("nowhere")}, DataError, r"nowhere/view 00\.png does not exist"),
        ({"runs": (Path("missing"),)}, DataError, "missing is not a run folder"),
        ({"meshes": (Path("missing.obj"),)}, DataError, r"missing\.obj"),
        ({"data": Path("missing")}, DataError, "missing is not a prepared scene"),
        ({"vgg_weights": Path("missing.pth"), "lpips": True}, DataError, r"missing\.pth"),
    ],
)
def test_refusals_name_the_file_and_the_fix(scene, runs, tmp_path, changes, error, message):
    values = {"data": scene, "runs": (runs[0],), "output_dir": tmp_path / "c", "lpips": False, **changes}
    with pytest.raises(error, match=message):
        compare.run(compare.Config(**values))


def test_results_are_not_overwritten_unasked(scene, runs, tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="--overwrite"):
        compare.run(compare.Config(data=scene, runs=(runs[0],), output_dir=tmp_path / "c", lpips=False))


def test_an_empty_held_out_set_is_refused(scene, runs, tmp_path):
    other = write_box_scene(tmp_path / "other", num_views=4)
    from neuraltex.io.prepared import write_prepared

    write_prepared(type(other)(other.path, other.mesh, SIZE, other.split("train"), other.info))
    with pytest.raises(DataError, match=r"holds out no photograph.*--test-every"):
        compare.run(compare.Config(data=other.path, runs=(runs[0],), output_dir=tmp_path / "c", lpips=False))


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_castle_scores_equal_those_of_the_neutral_evaluator(bench_dir, test_data, evaluator, real_lpips, tmp_path):
    """PSNR within 0.05 dB, SSIM and LPIPS within 0.005, at full size, in a window of the given mask to save time."""
    from neuraltex.geometry.camera import Camera
    from neuraltex.geometry.mesh import TexturedMesh
    from neuraltex.io.meshes import read_mesh
    from neuraltex.io.prepared import PreparedScene, PreparedView
    from neuraltex.stages.compare_methods import Contender
    from neuraltex.stages.compare_views import Judge

    entry = evaluator.load_cameras(str(bench_dir / "castle_test.json"), ["00008"])[0]
    K = entry["K"]
    pose = np.linalg.inv(entry["T"])
    camera = Camera(entry["width"], entry["height"], K[0, 0], K[1, 1], K[0, 2], K[1, 2], pose, skew=K[0, 1])
    bare = read_mesh(test_data / "castle" / "scene_mesh_refine.ply")
    xy, _ = camera.project(bare.vertices)
    photo = read_rgb(Path(entry["file"]))
    uv = np.nan_to_num(np.stack([xy[:, 0] / camera.width, 1 - xy[:, 1] / camera.height], 1), nan=0.0).clip(0, 1)
    mesh = bare.with_uv(uv, bare.faces)
    texture = np.asarray(
        np.round(photo[::3, ::3] * 0.8 + 20), np.uint8
    )  # the photograph itself, reduced and off in color
    path = write_textured(tmp_path / "castle.obj", mesh, texture)

    loaded = evaluator.load_mesh(str(path))
    mask = read_rgb(bench_dir / "masks" / "castle" / "00008.png")[..., 0] > 127
    mask[:900], mask[1700:], mask[:, :900], mask[:, 2000:] = False, False, False, False
    write_rgb(tmp_path / "given" / "00008.png", mask.astype(np.uint8) * 255)
    image, coverage = evaluator.render(loaded, evaluator.Caster(loaded["V"], loaded["F"]), entry, mask, 2)
    expected = evaluator.score(image, coverage, photo, mask, evaluator.LPIPS(str(test_data / "weights")), 1416)

    view = PreparedView("00008", "test", camera, Path(entry["file"]), Path("unused"), Path("unused"))
    scene = PreparedScene(tmp_path, mesh, 512, (view,), {})
    contender = Contender("projected", TexturedMesh(mesh, (texture,), np.zeros(mesh.num_faces, np.int64)))
    judge = Judge(scene, [contender], real_lpips, tmp_path / "given", 2, tmp_path / "masks")
    judge.score(view, picture=False)
    ours = judge.rows["00008"]["projected"]
    for key in ("psnr", "psnr_fit"):
        assert ours[key] == pytest.approx(expected[key], abs=0.05)
    for key in ("ssim", "ssim_fit", "lpips", "lpips_fit", "coverage", "sharpness_fit"):
        assert ours[key] == pytest.approx(expected[key], abs=0.005)


@pytest.mark.data
def test_computed_masks_equal_the_given_ones_of_the_kitchen(bench_dir, test_data, evaluator):
    """The protocol in words (two training views, cosine, occlusion) against the fixed mask files, at half size."""
    from neuraltex.geometry.camera import Camera
    from neuraltex.io.meshes import read_mesh
    from neuraltex.metrics.evaluation_mask import EvaluationMasks

    def cameras(name: str, keep: set[str] | None = None) -> dict[str, Camera]:
        content = json.loads((bench_dir / f"kitchen_{name}.json").read_text())
        found = {}
        for view in content["images"]:
            if keep is None or view["name"] in keep:
                K = np.array(view["K"])
                shift = 0.5 if content["pixel_convention"] == "integer" else 0.0
                dist = view.get("dist") or {}
                lens = {"lens": "brown", "distortion": (dist.get("k1", 0.0), dist.get("k2", 0.0))} if dist else {}
                pose = np.linalg.inv(view["world_from_cam"])
                size, center = (view["width"], view["height"]), (K[0, 2] + shift, K[1, 2] + shift)
                found[view["name"]] = Camera(*size, K[0, 0], K[1, 1], *center, pose, skew=K[0, 1], **lens).scaled(
                    320, 240
                )
        return found

    finder = EvaluationMasks(read_mesh(test_data / "kitchen" / "mesh_120k.ply"), list(cameras("train").values()))
    for name, camera in cameras("test", {"frame-000001", "frame-000403"}).items():
        ours, given = finder.mask(camera), read_rgb(bench_dir / "masks" / "kitchen" / f"{name}.png")[::2, ::2, 0] > 127
        assert (ours & given).sum() / (ours | given).sum() > 0.985


def test_alignment_is_scored_beside_and_changes_no_other_column(result, scene, runs, tmp_path):
    config = compare.Config(data=scene, runs=runs, output_dir=tmp_path / "c", lpips=False, max_pictures=0, align=True)
    found = {method["name"]: method["mean"] for method in compare.run(config).data["methods"]}
    plain = means(result)
    for name in ("quality (good)", "ground truth"):
        assert {key: found[name][key] for key in plain[name]} == pytest.approx(plain[name], abs=1e-9)
        assert found[name]["psnr_aligned"] > 40
        assert found[name]["moved_px"] < 0.3, "the cameras are exact"
    assert "lpips_aligned" not in found["ground truth"]
    page = (tmp_path / "c" / "index.html").read_text(encoding="utf-8")
    assert "PSNR aligned" in page
    assert "Aligned columns" in page


def test_a_run_with_refined_cameras_is_seen_through_them_and_says_what_moved(scene, runs, tmp_path):
    """Its held-out cameras carry what photographs share; scored through the unrefined ones it would look worse."""
    from neuraltex.geometry.rigid import rigid
    from neuraltex.io.prepared import read_prepared, write_prepared
    from neuraltex.stages.compare_methods import load_contenders

    opened = read_prepared(scene)
    run = write_box_run(tmp_path / "refined", scene, box_texture(), "refined")
    other = write_box_scene(run / "calibrated")
    offset = rigid(np.eye(3), np.array([0.05, 0, 0]))
    moved = tuple(
        replace(
            view,
            camera=replace(view.camera, fx=90.0, cam_from_world=offset @ view.camera.cam_from_world),
        )
        for view in other.views
    )
    write_prepared(replace(other, views=moved))
    contender = load_contenders((run,), (), opened)[0][0]
    assert set(contender.cameras) == {view.name for view in opened.split("test")}
    assert contender.cameras["view 04"].fx == 90.0
    facts = contender.details["facts"]
    assert "0.05 units" in facts["Poses moved"]
    assert facts["Intrinsics"].startswith("focal 100.0 → 90.0")
    data = compare.run(
        compare.Config(data=scene, runs=(run, runs[0]), output_dir=tmp_path / "c", lpips=False, max_pictures=0)
    ).data["methods"]
    assert data[0]["mean"]["psnr"] < 35 < data[-1]["mean"]["psnr"], "wrong cameras must show"


@pytest.fixture(scope="module")
def surface(scene: Path, runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on a scene with a single photograph to fit, judged on all of the surface."""
    folder = tmp_path_factory.mktemp("one photo")
    shutil.copytree(scene, folder / "scene")
    copy = read_prepared(folder / "scene")
    views = tuple(replace(view, split="train" if view.name == "view 01" else "test") for view in copy.views)
    write_prepared(replace(copy, views=views))
    learned = write_box_run(folder / "learned", folder / "scene", box_texture(), "both")
    manifest = json.loads((learned / "manifest.json").read_text())
    write_json(learned / "manifest.json", {**manifest, "init": "learned", "prior": "diffusion"})
    flags = ["--data", folder / "scene", "--runs", *runs, learned, "--output-dir", folder / "c", "--no-lpips"]
    with pytest.raises(SystemExit) as code:
        main(["compare", *map(str, flags), "--judge", "surface"])
    assert code.value.code == 0
    return folder / "c"


def test_surface_is_judged_by_side_and_region(surface: Path) -> None:
    data = json.loads((surface / "metrics.json").read_text())
    assert set(data["sides"].values()) == {"front", "side", "back"}
    good, bad, learned, truth = data["methods"]
    for region in ("seen", "unseen"):
        assert truth["mean"][f"psnr_{region}"] > good["mean"][f"psnr_{region}"] > bad["mean"][f"psnr_{region}"]
        assert learned["mean"][f"psnr_truth_{region}"] > 60 > good["mean"][f"psnr_truth_{region}"] > 25
    assert good["mean"]["psnr_truth_mirrored"] > 25
    assert good["sides"]["back"]["psnr"] > 25
    views = good["views"]
    assert views["view 02"]["psnr_seen"] is not None
    assert np.mean([row["psnr"] for row in views.values()]) == pytest.approx(good["mean"]["psnr"])


def test_page_answers_whether_to_learn_or_to_optimize(surface: Path, result: Path) -> None:
    page = (surface / "index.html").read_text(encoding="utf-8")
    assert "Learned or optimized?" in page
    for words in ("unseen", "mirrored", "back", "Texels that a training photograph shows"):
        assert words in page
    assert "Learned or optimized?" not in (result / "index.html").read_text(encoding="utf-8")
