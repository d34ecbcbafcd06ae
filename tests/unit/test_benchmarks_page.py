"""The page of benchmarks says what the JSON holds."""

import importlib
import itertools
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
COLUMNS = ("psnr", "ssim", "lpips", "psnr_fit", "ssim_fit", "lpips_fit", "sharpness", "coverage")


@pytest.fixture
def load(monkeypatch):
    """Import a file of scripts/ as it runs: with its siblings importable by name."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module


def row(scene: str, method: str, kind: str, psnr: float, **more) -> dict:
    scores = dict.fromkeys(COLUMNS, 0.25) | {"psnr_fit": psnr}
    cost = {"seconds": None if kind == "peer" else 12.4, "peak_gb": None if kind == "peer" else 1.5}
    return {"scene": scene, "method": method, "kind": kind, "optimize": cost, "scores": scores, **more}


def result() -> dict:
    aligned = dict.fromkeys(COLUMNS, 0.125)
    peer = {"method": "OpenMVS <2>", **dict.fromkeys(COLUMNS[:7], 0.5), "psnr_fit": 18.59, "seconds": "24", "gb": "0.6"}
    rows = [
        row("castle", "fast", "preset", 19.5, seam_jump_255=0.4),
        row("castle", "quality", "preset", 20.25, aligned=aligned, moved_px=1.5, seam_jump_255=2.0),
        row("castle", "best_view", "baseline", 15),
        row("castle", "openmvs/scene", "peer", 18.6),
        row("castle", "neural_texgen", "bounded", 13, steps=2, steps_of=60, extrapolated_seconds=6000.0),
        row("castle", "quality loss.lpips=0.5", "curve", 20, knob="loss.lpips", value="0.5"),
        row("castle", "quality loss.lpips=2", "curve", 19.8, knob="loss.lpips", value="2"),
        *(row(name, "quality", "preset", psnr) for name, psnr in RAW.items()),
    ]
    leads = {"psnr_fit": 0.37, "ssim_fit": 0.1, "lpips_fit": -0.01}
    verdict = {
        "scene": "castle",
        "origin": "published",
        "cameras": "given",
        "peer": "OpenMVS <2>",
        "nearest": "quality",
    }
    goal = {"psnr_fit": 19.88, "ssim_fit": 0.772, "lpips_fit": 0.239}
    met = {"psnr_fit": True, "ssim_fit": True, "lpips_fit": False}
    return {
        "rows": rows,
        "peers": {"castle": [peer]},
        "verdicts": [{**verdict, "dominated_by": [], "leads": leads}],
        "goals": [{"scene": "castle", "cameras": "given", "goal": goal, "met": met, "leads": leads}],
    }


RAW = {"kitchen_raw": 20.5, "kitchen_rig": 20.1, "kitchen_edges": 20.6}


def test_quality_shows_rows_verdicts_goals_and_plots(load, tmp_path):
    page = load("page_quality").quality(result(), tmp_path)
    assert "| **neuraltex `quality`** | **0.250** |" in page
    assert "| castle | OpenMVS <2>, published | given | **no** | `quality`: +0.370, +0.100, -0.010 |" in page
    assert "met (19.88, +0.370)" in page
    assert "missed (0.239, -0.010)" in page
    assert "`neural_texgen`, 2 of 60 steps" in page
    assert "6000, extrapolated" in page
    assert "| `quality` | 20.500 | 20.100 | 20.600 | missed |" in page, "the bar is the better of both"
    assert "2.00 | **missed** |" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["quality_castle.svg", "quality_castle_aligned.svg"]
    assert f"({tmp_path.name}/quality_castle.svg)" in page


def test_the_plot_is_well_formed_and_holds_every_method(load, tmp_path):
    load("page_quality").quality(result(), tmp_path)
    tree = ET.fromstring((tmp_path / "quality_castle.svg").read_text(encoding="utf-8"))
    titles = [element.text or "" for element in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == 8, "seven of ours and run here, one published"
    assert any(title.startswith("OpenMVS <2>: 18.59") for title in titles)
    paths = [
        element.get("d")
        for element in tree.iter("{http://www.w3.org/2000/svg}path")
        if element.get("stroke") != "#e2e8f0"
    ]
    assert len(paths) == 1, "the points of the knob are joined"


def test_names_in_a_plot_do_not_overlap(load):
    page = load("page_scatter")
    points = [page.Point(f"method {k}", 19.0 + 0.001 * k, 0.25, "preset") for k in range(4)]
    points.append(page.Point("far", 15.0, 0.4, "published"))
    tree = ET.fromstring(page.scatter("t", "x", "y", points))
    texts = [e for e in tree.iter("{http://www.w3.org/2000/svg}text") if (e.text or "").startswith("method")]
    heights = sorted(float(e.get("y")) for e in texts)
    assert min(b - a for a, b in itertools.pairwise(heights)) >= 12


def test_the_short_table_takes_presets_and_published_peers_only(load):
    text = load("page_quality").readme_table(result())
    assert "neuraltex `fast`" in text
    assert "OpenMVS <2>" in text
    assert "best_view" not in text
    assert "loss.lpips" not in text


def test_speed_names_the_ratio_to_the_floor_and_what_was_extrapolated(load):
    cost = {"seconds": 12.0, "cpu_seconds": 20.0, "peak_gb": 0.9}
    clock = {"decode": 1.0, "cast": 2.0, "touch": 1.0, "total": 4.0}
    floor = {"wall": clock, "cpu": clock, "megapixels": 10.0}
    once = {"photos": 87, "accumulate_seconds": 3.0, "solve_seconds": 1.0, "iterations": 9, "residual": 9e-4}
    case = {"seconds_per_mpx": 0.03, "cpu_seconds_per_mpx": 0.03}
    texgen = {
        "ours": {**cost, "psnr_fit": 20.1},
        "run": {**cost, "psnr_fit": 12.0},
        "steps": 2,
        "seconds_per_step": 150.0,
    }
    texgen |= {"extrapolated_seconds": 9000.0, "measured_ratio": 25.0, "extrapolated_ratio": 750.0, "reached": False}
    parts = {
        "accumulate": {
            "photos": 24,
            "pass": once,
            "cases": {"mip": case},
            "floor": floor,
            "two_cores": {"cases": {"mip": case}},
        },
        "end_to_end": {"fit": cost, "floor": floor, "over_floor": {"wall": 3.0, "cpu": 5.0}},
        "memory": {"photos": {"25": cost, "400": cost}, "kitchen_4096": cost, "castle_4096": cost},
        "two_processes": {
            "alone": {**cost, "pass_one_core": once, "pass_one_thread": once},
            "together": {**cost, "pass_one_core": once, "pass_one_thread": once},
            "largest_difference": 1e-6,
            "accumulate_speedup": 1.9,
            "accumulate_speedup_with_free_reader": 1.4,
        },
        "folder_to_glb": {
            "castle": {
                **dict.fromkeys(("texture", "prepare", "optimize", "export"), cost),
                "seconds": 36.0,
                "texrecon_seconds": 21.0,
            }
        },
        "neural_texgen": texgen,
    }
    page = load("page_speed")
    assert set(parts) == set(page.SPEED)
    targets = {
        "accumulate_seconds_per_mpx": 0.04,
        "end_to_end_seconds": 15.0,
        "end_to_end_over_floor": 3.0,
        "faster_than_neural_texgen": 100.0,
        "memory_4096_gb": 1.5,
        "two_processes_speedup": 1.7,
        "two_processes_difference": 1e-5,
    }
    text = page.speed({"preset": "fast", "targets": targets, "parts": parts})
    assert "| ratio | **3.0** | 5.0 |" in text
    assert "| floor, touch | 0.1000 | 0.1000 |" in text
    assert "60 steps, extrapolated | 9000 |" in text
    assert "**1.9** times" in text


def test_robustness_says_what_each_flaw_costs(load):
    scores = {"psnr_fit": 30.0, "ssim_fit": 0.9, "lpips_fit": None, "psnr_aligned": 30.1}
    verdict = {"lost_db": {"psnr_fit": 1.2, "psnr_aligned": 0.3}, "allowed_db": 1.0, "met": False}
    found = {"scores": {"clean": scores, "camera_noise": scores}, "verdicts": {"camera_noise": verdict}}
    flags = {"clean": [], "camera_noise": ["--camera-noise", "2"]}
    text = load("page_speed").robustness({"tiny": False, "flags": flags, "presets": {"quality": found}})
    assert "| `--camera-noise 2` | 30.000 | 0.900 |  | 30.100 | 1.20 (at most 1.0) | **missed** |" in text
    assert "| `none` |" in text


def test_the_committed_page_is_what_the_committed_results_give(load, tmp_path, monkeypatch):
    """Guards against a page edited by hand, or results committed without it."""
    page = load("benchmarks_page")
    root = SCRIPTS.parent
    for name in ("README.md", "docs/benchmarks.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((root / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "docs" / "images").mkdir()
    monkeypatch.setattr(page, "ROOT", tmp_path)
    monkeypatch.setattr(page, "IMAGES", tmp_path / "docs" / "images")
    page.main()
    for name in ("README.md", "docs/benchmarks.md"):
        assert (tmp_path / name).read_text(encoding="utf-8") == (root / name).read_text(encoding="utf-8"), name


def test_learned_textures_stand_beside_fills(load):
    def scores(psnr):
        return {"psnr": psnr, "ssim": 0.5, "l1": 0.1, "lpips": 0.25, "too_dark": 0.001}

    rows = [{"region": "unseen", "method": name, **scores(psnr)} for name, psnr in (("mean", 12), ("predicted", 21.5))]
    training = {"sampler": {"steps": 100, "batch": 8, "size": 64, "seconds": 125.0}}
    part = {"rows": rows, "training": training, "predict_seconds": 0.25, "predict_seconds_at": {"256": 0.5}}
    ablation = {region: scores(18.125) for region in ("unseen", "direct", "unseen+mirrored")}
    parts = {"smpl": part, "ablations": {"rows": {"no geometry": ablation}, "steps": 50}}
    page = load("page_learned").learned_textures({"parts": parts})
    assert "| unseen | **predicted** | 21.500 | 0.500 | 0.250 | 0.001 |" in page
    assert "sampler 100 steps of 8 in 2 min; networks and all around them take 0.25 s at 64^2, 0.50 s at 256^2" in page
    assert "| 50 | no geometry | 18.12 | 18.12 | 18.12 | 0.001 |" in page
    assert "Procedural" not in page


def test_priors_are_listed_by_photographs(load):
    found = {"mean": {"psnr": 20.0, "psnr_seen": 25.0}, "back": {"psnr": 18.5}}
    result = {"textures": ["t.jpg"], "preset": "fast", "photos": {"1": {"learned": found}}}
    assert "| 1 | learned | 20.000 | 25.000 |  | 18.500 |  |" in load("page_learned").learned_prior(result)
