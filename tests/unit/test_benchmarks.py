"""The pure parts of the benchmarks: tables, verdicts, baselines, floor."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from box_scene import SIZE as BOX_SIZE
from box_scene import box_mesh, box_texture, write_box_scene

from neuraltex.core.errors import DataError
from neuraltex.geometry.camera import Camera

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

PAGE = """Words | with | bars
| castle | PSNR | SSIM | LPIPS | PSNR fit | SSIM fit | LPIPS fit | sharp | s | GB |
|---|---|---|---|---|---|---|---|---|---|
| average | 19.76 | 0.772 | 0.269 | 19.88 | 0.770 | 0.271 | 0.60 | | |
| OpenMVS 2.3.0 | 18.07 | 0.731 | **0.238** | 18.59 | 0.749 | **0.239** | 1.13 | 24 | 0.6 |

| kitchen | PSNR | SSIM | LPIPS | PSNR fit | SSIM fit | LPIPS fit | sharp | s | GB |
|---|---|---|---|---|---|---|---|---|---|
| texrecon | 16.96 | 0.549 | 0.407 | 18.34 | 0.583 | **0.399** | 1.07 | 8-14 | 0.36 |
"""


@pytest.fixture
def load(monkeypatch):
    """Import a file of benchmarks/ as it runs: with its siblings importable by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def scores(psnr: float, ssim: float, lpips: float) -> dict[str, float]:
    return {"psnr_fit": psnr, "ssim_fit": ssim, "lpips_fit": lpips}


def row(method: str, kind: str, given: tuple[float, float, float], **more) -> dict:
    return {"scene": "castle", "method": method, "kind": kind, "scores": scores(*given), **more}


def test_peers_are_read_from_both_tables_without_their_bold_marks(load):
    peers = load("neutral").read_peers(PAGE)
    assert [peer["method"] for peer in peers["castle"]] == ["average", "OpenMVS 2.3.0"]
    assert peers["castle"][1]["lpips_fit"] == 0.239
    assert peers["castle"][0]["seconds"] == ""
    assert (peers["kitchen"][0]["seconds"], peers["kitchen"][0]["gb"]) == ("8-14", "0.36")


def test_the_real_page_has_seven_peers_per_scene(load, bench_dir):
    peers = load("neutral").read_peers((bench_dir / "README.md").read_text(encoding="utf-8"))
    assert {scene: len(rows) for scene, rows in peers.items()} == {"castle": 7, "kitchen": 7}


def test_dominance_needs_all_columns_at_once_and_a_tie_is_none(load):
    dominates = load("verdicts").dominates
    assert dominates(scores(20, 0.8, 0.2), scores(19, 0.7, 0.3))
    assert not dominates(scores(20, 0.8, 0.3), scores(19, 0.7, 0.2)), "a higher LPIPS is worse"
    assert not dominates(scores(20, 0.7, 0.2), scores(19, 0.7, 0.3)), "a tie is no lead"


def test_the_nearest_preset_and_its_leads_are_named(load):
    presets = {"fast": scores(18, 0.75, 0.25), "quality": scores(20, 0.8, 0.245)}
    verdict = load("verdicts").judge_peer("OpenMVS", scores(18.59, 0.749, 0.239), presets)
    assert verdict["dominated_by"] == []
    assert verdict["nearest"] == "quality"
    assert verdict["leads"] == {"psnr_fit": 1.41, "ssim_fit": 0.051, "lpips_fit": -0.006}


def test_verdicts_compare_like_with_like(load):
    ours = row("quality", "preset", (19, 0.7, 0.3), aligned=scores(25, 0.9, 0.1))
    measured = row("openmvs", "peer", (20, 0.8, 0.2), aligned=scores(21, 0.8, 0.2))
    verdicts = load("verdicts").verdicts(
        [ours, measured], {"castle": [{"method": "published", **scores(20, 0.8, 0.2)}]}
    )
    found = {(item["peer"], item["cameras"]): item["dominated_by"] for item in verdicts}
    assert found == {("published", "given"): [], ("openmvs", "given"): [], ("openmvs", "aligned"): ["quality"]}


def test_only_three_presets_share_the_work_and_curves_none(load):
    rows = [row(name, "preset", (10, 0.1, 0.9)) for name in ("fast", "quality", "third")]
    rows += [row("fourth", "preset", (30, 0.9, 0.1)), row("x", "curve", (30, 0.9, 0.1))]
    verdicts = load("verdicts").verdicts(rows, {"castle": [{"method": "peer", **scores(20, 0.8, 0.2)}]})
    assert verdicts[0]["dominated_by"] == []


def test_goals_are_met_column_by_column(load):
    goals = load("verdicts").goals(
        [row("quality", "preset", (19.89, 0.772, 0.2389)), row("fast", "preset", (30, 1, 0))]
    )
    assert len(goals) == 1
    assert goals[0]["met"] == {"psnr_fit": True, "ssim_fit": False, "lpips_fit": True}


def test_rewritten_cameras_are_those_that_were_meant(load, tmp_path):
    neutral = load("neutral")
    entry = {"name": "a", "file": "photos/a.png", "width": 64, "height": 48, "dist": None}
    entry |= {"K": [[50, 0.5, 31.5], [0, 51, 23.5], [0, 0, 1]], "world_from_cam": np.eye(4).tolist()}
    source = tmp_path / "test.json"
    source.write_text(json.dumps({"pixel_convention": "integer", "images": [entry]}))
    camera = neutral.read_cameras(source)["a"]
    assert (camera.cx, camera.cy, camera.skew) == (32.0, 24.0, 0.5)
    pose = np.eye(4)
    pose[:3, 3] = (1, 2, 3)
    moved = Camera(64, 48, 40, 41, 30, 20, pose, lens="brown", distortion=(0.1, -0.02))
    (tmp_path / "sub").mkdir()
    again = neutral.write_cameras(source, {"a": moved}, tmp_path / "sub" / "out.json")
    read = neutral.read_cameras(again)["a"]
    point = np.array([[0.3, -0.2, 4.0]])
    np.testing.assert_allclose(read.project(point)[0], moved.project(point)[0], atol=1e-9)
    assert neutral.photograph_files(again)["a"] == tmp_path / "photos" / "a.png"


def test_a_lens_the_evaluator_does_not_know_is_refused(load, tmp_path):
    source = tmp_path / "test.json"
    entry = {"name": "a", "file": "a.png", "width": 64, "height": 48, "dist": None, "K": np.eye(3).tolist()}
    source.write_text(
        json.dumps({"pixel_convention": "half", "images": [{**entry, "world_from_cam": np.eye(4).tolist()}]})
    )
    tangential = Camera(64, 48, 40, 41, 30, 20, np.eye(4), lens="brown", distortion=(0.1, 0, 0.01, 0))
    with pytest.raises(DataError, match="k1 and k2 only"):
        load("neutral").write_cameras(source, {"a": tangential}, tmp_path / "out.json")


def test_a_knob_becomes_one_run_per_value(load):
    quality = load("quality")
    jobs = quality.curve_jobs("quality:loss.vgg_content=0,0.5")
    assert [job.flags for job in jobs] == [
        ("--preset", "quality", "--loss.vgg-content", "0"),
        ("--preset", "quality", "--loss.vgg-content", "0.5"),
    ]
    assert quality.override("calibrate.cameras", "false") == ("--calibrate.no-cameras",)
    assert quality.override("seed", "3") == ("--seed", "3")
    with pytest.raises(SystemExit, match="KEY=VALUE"):
        quality.curve_jobs("quality:loss.lpips")


def test_scenes_may_be_repeated_and_both_means_two(load):
    quality = load("quality")
    assert quality.scene_names(()) == ["castle", "kitchen"]
    assert quality.scene_names(("kitchen_raw", "both", "kitchen")) == ["kitchen_raw", "castle", "kitchen"]
    with pytest.raises(SystemExit, match="unknown scene attic"):
        quality.scene_names(("attic",))


def test_peers_meshes_are_found_at_any_depth(load, tmp_path):
    for name in ("openmvs/scene.obj", "openmvs/scene.png", "texrecon.PLY"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [job.method for job in load("quality").peer_jobs(tmp_path)] == ["openmvs/scene", "texrecon"]


def test_chart_texels_lie_on_the_surface_their_uvs_say(load):
    mesh = box_mesh()
    texels = load("baselines").chart_texels(mesh, BOX_SIZE)
    share = len(texels.index) / BOX_SIZE**2
    assert share == pytest.approx(6 * 0.27 * 0.44, rel=0.03)
    assert np.allclose(np.abs(texels.points).max(1), 1, atol=1e-5)
    assert (np.diff(texels.face) >= 0).all()
    row_index, column = np.divmod(texels.index[len(texels.index) // 2], BOX_SIZE)
    uv = np.array([(column + 0.5) / BOX_SIZE, 1 - (row_index + 0.5) / BOX_SIZE])
    corners = mesh.corner_uvs[texels.face[len(texels.index) // 2]]
    assert (corners.min(0) <= uv).all()
    assert (uv <= corners.max(0)).all()


@pytest.mark.parametrize("method", ["weighted_average", "best_view"])
def test_baselines_recover_a_texture_from_exact_photographs(load, tmp_path, method):
    scene = write_box_scene(tmp_path / "prepared")
    texture, seen = load("baselines").make_texture(scene, method)
    assert 0.3 < seen.mean() < 0.75
    error = np.abs(texture - box_texture() / 255)[seen].mean()
    assert error < 0.08
    assert np.abs(texture[::-1] - box_texture() / 255)[seen].mean() > 2 * error, "the comparison could not fail"


def test_the_best_view_takes_each_color_from_one_photograph(load, tmp_path):
    scene = write_box_scene(tmp_path / "prepared")
    baselines = load("baselines")
    texels = baselines.chart_texels(scene.mesh, scene.texture_size)
    best = baselines.make_texture(scene, "best_view")[0].reshape(-1, 3)[texels.index]
    taken = np.zeros(len(texels.index), bool)
    for which, color, _, _ in baselines.look_ups(scene, texels):
        taken[which] |= (np.abs(best[which] - color) < 1e-6).all(1)
    assert (taken | (best == 0).all(1)).all()


def test_the_floor_touches_four_texels_per_pixel(load):
    generator = np.random.default_rng(0)
    uv = generator.random((1000, 2)).astype(np.float32)
    color = generator.integers(0, 256, (1000, 3)).astype(np.uint8)
    records = load("floor").touch(uv, color, 32)
    assert records.shape == (32, 32, 8)
    np.testing.assert_allclose(records.sum((0, 1)), 4 * color.sum(), rtol=1e-5)


def test_repeated_views_are_linked_under_their_own_names(load, tmp_path):
    scene = write_box_scene(tmp_path / "prepared")
    many = load("many_views").repeat_views(scene, 23, tmp_path / "many")
    assert len(many.split("train")) == 23
    assert len({view.name for view in many.views}) == 23
    assert many.views[10].image.stat().st_ino == scene.views[0].image.stat().st_ino
    np.testing.assert_array_equal(many.views[22].load_image(), scene.views[2].load_image())


def test_robustness_counts_what_a_flaw_costs(load):
    judge = load("robustness").judge
    clean = {"psnr_fit": 30.0, "psnr_aligned": None}
    verdicts = judge({"clean": clean, "camera_noise": {"psnr_fit": 29.2, "psnr_aligned": 29.5}})
    assert verdicts == {"camera_noise": {"lost_db": {"psnr_fit": 0.8}, "allowed_db": 1.0, "met": True}}


def test_robustness_does_not_judge_through_noisy_cameras_that_a_run_took_over(load, tmp_path, monkeypatch):
    robustness, calls = load("robustness"), []
    monkeypatch.setattr(robustness, "timed_verb", lambda *words: calls.append([str(word) for word in words]))
    monkeypatch.setattr(robustness, "read_json", lambda path: {"methods": [{"mean": {"psnr_fit": 30.0}}] * 2})
    robustness.run_preset("robust", ("clean", "camera_noise"), tmp_path, robustness.Arguments())
    compare = next(call for call in calls if call[0] == "compare")
    assert "--runs" not in compare
    assert compare[compare.index("--data") + 1].endswith("clean-prepared")
    assert sum(word.endswith(".obj") for word in compare) == 2


def test_learned_prior_is_judged_by_unseen_and_seen_pixels(load):
    module = load("learned_prior")

    def entry(unseen: float, seen: float) -> dict[str, dict[str, float]]:
        scores = {"psnr_unseen": unseen, "psnr_seen": seen, "psnr": (unseen + seen) / 2}
        return {"mean": scores, "back": scores}

    methods = {"none": entry(15.0, 30.0), "diffusion": entry(17.2, 30.1), "learned": entry(18.5, 29.95)}
    verdicts = module.judge({1: methods, 8: methods})
    assert verdicts["1"]["learned"]["back_unseen_over_none"] == 3.5
    assert verdicts["1"]["learned"]["back_unseen_over_diffusion"] == 1.3
    assert verdicts["1"]["met"]
    assert verdicts["8"]["met"]
    assert not module.judge({3: {**methods, "learned": entry(18.5, 29.8)}})["3"]["met"], "seen pixels got worse"
    assert not module.judge({3: {**methods, "learned": entry(18.1, 30.0)}})["3"]["met"], "too little over diffusion"


def test_scores_of_subjects_are_averaged_over_those_that_have_them(load):
    subjects = [{"learned": {"mean": {"psnr": 20.0}}}, {"learned": {"mean": {"psnr": 23.0}, "back": {"psnr": 18.0}}}]
    assert load("learned_prior").mean_methods(subjects) == {"learned": {"mean": {"psnr": 21.5}, "back": {"psnr": 18.0}}}


def test_bodies_are_photographed_whole_and_from_the_right_side(load):
    module, mesh = load("learned_prior"), box_mesh()
    front, side = module.camera_at(mesh, 0, 0, 64), module.camera_at(mesh, 90, 5, 64)
    assert front.center[2] > 4
    np.testing.assert_allclose(front.center[:2], 0, atol=1e-9)
    assert side.center[0] > 4
    assert side.center[1] > 0.4
    xy, depth = front.project(np.array([[0.0, 1, 0], [1, 0, 0]]))
    assert (depth > 0).all()
    assert xy[0, 1] < 32 < xy[1, 0]  # up is up, and +x is on the right
    for camera in (front, side):
        pixels = camera.project(mesh.vertices)[0]
        assert ((pixels > 0) & (pixels < 64)).all()
