"""The sections on speed and robustness of docs/benchmarks.md."""

from collections.abc import Callable
from typing import Any

from page_table import table

Part = dict[str, Any]


def speed(result: Part) -> str:
    """Time and memory of the direct fit beside the floor and the targets."""
    words = (
        f"## Speed of `{result['preset']}`\n\nThe floor, measured in the same run: decode the photographs, cast one ray per "
        "pixel, read each pixel once, and read, change and write the records of its four texels (8 numbers each).\n"
    )
    found = [SPEED[name](part, result["targets"]) for name, part in result["parts"].items()]
    return "\n".join([words, *found])


def _accumulate(part: Part, targets: Part) -> str:
    rows = [
        [f"accumulate, {name}{cores}", case["seconds_per_mpx"], case["cpu_seconds_per_mpx"]]
        for cores, found in (("", part), (", two cores", part["two_cores"]))
        for name, case in found["cases"].items()
    ]
    megapixels = part["floor"]["megapixels"]
    for step, seconds in part["floor"]["wall"].items():
        cpu = part["floor"]["cpu"][step]
        rows.append([f"floor, {step}", f"{seconds / megapixels:.4f}", f"{cpu / megapixels:.4f}"])
    once = part["pass"]
    solved = (
        f"\nA whole pass over {once['photos']} photographs, reading included, takes {once['accumulate_seconds']} s on one core, "
        f"solving to a residual of {once['residual']:.0e} {once['solve_seconds']} s ({once['iterations']} iterations).\n"
    )
    words = f"One core unless said otherwise, {part['photos']} photographs; target {targets['accumulate_seconds_per_mpx']} s per Mpx.\n\n"
    return "### Normal equations\n\n" + words + table(("step", "s per Mpx", "CPU s per Mpx"), rows) + solved


def _end_to_end(part: Part, targets: Part) -> str:
    fit, floor, ratio = part["fit"], part["floor"], part["over_floor"]
    rows = [
        ["fit, start to end of the process", fit["seconds"], fit["cpu_seconds"]],
        ["floor", floor["wall"]["total"], floor["cpu"]["total"]],
        ["ratio", f"**{ratio['wall']}**", ratio["cpu"]],
    ]
    words = (
        f"100 photographs of 640x480 into 2048^2 after `prepare`, all cores; targets {targets['end_to_end_seconds']:.0f} s "
        f"and {targets['end_to_end_over_floor']:.0f} times the floor.\n\n"
    )
    return "### End to end\n\n" + words + table(("", "s", "CPU s"), rows)


def _memory(part: Part, targets: Part) -> str:
    rows = [
        [f"{count} photographs, 2048^2", case["peak_gb"], case["seconds"]] for count, case in part["photos"].items()
    ]
    rows += [["kitchen, 100 photographs, 4096^2", part["kitchen_4096"]["peak_gb"], part["kitchen_4096"]["seconds"]]]
    rows += [["castle, 4096^2", part["castle_4096"]["peak_gb"], part["castle_4096"]["seconds"]]]
    words = (
        f"The kitchen's photographs repeated under other names; target at 4096^2: {targets['memory_4096_gb']} GB.\n\n"
    )
    return "### Memory\n\n" + words + table(("case", "peak GB", "s"), rows)


def _two_processes(part: Part, targets: Part) -> str:
    rows = [
        [
            words,
            part[name]["seconds"],
            part[name]["pass_one_core"]["accumulate_seconds"],
            part[name]["pass_one_thread"]["accumulate_seconds"],
            part[name]["pass_one_core"]["solve_seconds"],
        ]
        for name, words in (("alone", "one process, one thread"), ("together", "two processes, one thread each"))
    ]
    words = (
        f"Largest difference of a texel {part['largest_difference']:.1e} (target {targets['two_processes_difference']:.0e}); a pass "
        f"over the photographs, reading included, is **{part['accumulate_speedup']}** times as fast (target "
        f"{targets['two_processes_speedup']}) with every process kept to one core, and "
        f"{part['accumulate_speedup_with_free_reader']} times where the single process may read photographs on the other "
        "core.\n\n"
    )
    return (
        "### Two processes\n\n"
        + words
        + table(("", "whole fit s", "one pass s", "its reader on another core s", "solve s"), rows)
    )


def _folder_to_glb(part: Part, targets: Part) -> str:
    del targets  # every scene carries its own
    rows = [
        [
            scene,
            f"**{case['seconds']}**",
            case["texture"]["cpu_seconds"],
            *(case[step]["seconds"] for step in ("prepare", "optimize", "export")),
            case["texrecon_seconds"],
        ]
        for scene, case in part.items()
    ]
    words = (
        "Wall time of `neuraltex texture` (start included, best of two) and its processor time; of the three verbs one by "
        "one; texrecon as published beside the evaluator.\n\n"
    )
    return (
        "### From a scene folder to a GLB\n\n"
        + words
        + table(("scene", "texture s", "CPU s", "prepare", "optimize", "export", "texrecon s"), rows)
    )


def _neural_texgen(part: Part, targets: Part) -> str:
    ours, run = part["ours"], part["run"]
    rows = [
        ["ours", ours["seconds"], f"{ours['psnr_fit']:.2f}", ""],
        [
            f"`neural_texgen`, {part['steps']} steps, measured",
            run["seconds"],
            f"{run['psnr_fit']:.2f}",
            f"{part['measured_ratio']}",
        ],
        [
            "`neural_texgen`, 60 steps, extrapolated",
            f"{part['extrapolated_seconds']:.0f}",
            "",
            f"{part['extrapolated_ratio']}",
        ],
    ]
    words = (
        f"Kitchen; held-out color-fitted PSNR {'was' if part['reached'] else 'was not'} reached in the steps measured "
        f"({part['seconds_per_step']} s per step), so the second ratio supposes that all 60 are needed and suffice; target "
        f"{targets['faster_than_neural_texgen']:.0f}.\n\n"
    )
    return "### Beside `neural_texgen`\n\n" + words + table(("", "s", "PSNR fit", "times ours"), rows)


SPEED: dict[str, Callable[[Part, Part], str]] = {
    "accumulate": _accumulate,
    "end_to_end": _end_to_end,
    "memory": _memory,
    "two_processes": _two_processes,
    "folder_to_glb": _folder_to_glb,
    "neural_texgen": _neural_texgen,
}


def robustness(result: Part) -> str:
    """What flaws of the input cost."""
    size = " (tiny version)" if result["tiny"] else ""
    parts = [
        f"## Robustness\n\nThe demo scene{size} with one flaw at a time, fitted as it is and judged on the photographs and exact "
        "cameras that the clean scene holds out, after a color fit. `aligned`: cameras aligned to each texture first.\n"
    ]
    for preset, found in result["presets"].items():
        rows = []
        for case, scores in found["scores"].items():
            verdict = found["verdicts"].get(case)
            cost = f"{verdict['lost_db']['psnr_fit']:.2f} (at most {verdict['allowed_db']})" if verdict else ""
            flags = " ".join(result["flags"][case]) or "none"
            cells = [_number(scores[name]) for name in ("psnr_fit", "ssim_fit", "lpips_fit", "psnr_aligned")]
            rows.append([f"`{flags}`", *cells, cost, "" if not verdict else "met" if verdict["met"] else "**missed**"])
        head = (f"`{preset}`, flaw", "PSNR", "SSIM", "LPIPS", "PSNR aligned", "lost dB", "")
        parts.append(table(head, rows))
    return "\n".join(parts)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
