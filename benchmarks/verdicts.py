"""What the scores say: which of our presets beats which peer, and whether the goals are met."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

BETTER = {"psnr_fit": 1, "ssim_fit": 1, "lpips_fit": -1}
"""Judged columns, after a color fit per image, and the sign of what is better."""
MAX_PRESETS = 3
"""``fast``, ``quality`` and at most one more may share the work of beating all peers."""
GOALS = {
    "castle": {"psnr_fit": 19.88, "ssim_fit": 0.772, "lpips_fit": 0.239},
    "kitchen": {"psnr_fit": 20.08, "ssim_fit": 0.683, "lpips_fit": 0.399},
}
"""The best of every column among all peers: ``quality`` alone has to beat them at once."""

Scores = Mapping[str, float]


def leads(ours: Scores, theirs: Scores) -> dict[str, float]:
    """How far we are ahead in every judged column; positive is better, whatever the column's direction."""
    return {name: round(sign * (ours[name] - theirs[name]), 4) for name, sign in BETTER.items()}


def dominates(ours: Scores, theirs: Scores) -> bool:
    """Whether we are strictly ahead in all judged columns at once."""
    return min(leads(ours, theirs).values()) > 0


def judge_peer(name: str, theirs: Scores, presets: Mapping[str, Scores]) -> dict[str, Any]:
    """Say which presets dominate a peer, and what the nearest one lacks.

    Args:
        name: The peer.
        theirs: Its scores.
        presets: Scores of our presets.

    Returns:
        ``peer``, ``dominated_by`` (names), ``nearest`` (the preset ahead in most columns, then least behind) and its
        ``leads``.
    """
    ahead = {preset: leads(scores, theirs) for preset, scores in presets.items()}
    winners = [preset for preset, lead in ahead.items() if min(lead.values()) > 0]
    nearest = max(ahead, key=lambda preset: _closeness(ahead[preset].values()))
    return {"peer": name, "dominated_by": winners, "nearest": nearest, "leads": ahead[nearest]}


def judge_goals(scene: str, scores: Scores) -> dict[str, Any]:
    """Say for every judged column whether the goal of a scene is met, and whether all are at once."""
    lead = leads(scores, GOALS[scene])
    return {"goal": GOALS[scene], "met": {name: value > 0 for name, value in lead.items()}, "leads": lead}


def verdicts(
    rows: Sequence[Mapping[str, Any]], published: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """Judge every peer, measured or published, scene by scene.

    A peer measured here is judged with cameras as given and again with cameras aligned to each texture; of a published
    one only the former is known.

    Args:
        rows: Measured rows with ``scene``, ``method``, ``kind``, ``scores`` and, where known, ``aligned``.
        published: Published scores by scene.
    """
    found = []
    for scene in dict.fromkeys(row["scene"] for row in rows if row["scene"] in GOALS):
        here = [row for row in rows if row["scene"] == scene]
        presets = [row for row in here if row["kind"] == "preset"][:MAX_PRESETS]
        rivals = [("scores", "published", peer["method"], peer) for peer in published.get(scene, ())]
        measured = [row for row in here if row["kind"] in ("baseline", "peer")]
        rivals += [(key, "measured", row["method"], row[key]) for row in measured for key in _known(row)]
        for key, origin, name, theirs in rivals:
            ours = {row["method"]: row[key] for row in presets if row.get(key)}
            if ours:
                cameras = "aligned" if key == "aligned" else "given"
                found.append({"scene": scene, "origin": origin, "cameras": cameras, **judge_peer(name, theirs, ours)})
    return found


def goals(rows: Sequence[Mapping[str, Any]], preset: str = "quality") -> list[dict[str, Any]]:
    """Judge the goals of every scene for one preset, with cameras as given and aligned."""
    return [
        {"scene": row["scene"], "cameras": cameras, **judge_goals(row["scene"], row[key])}
        for row in rows
        if row["kind"] == "preset" and row["method"] == preset and row["scene"] in GOALS
        for key, cameras in (("scores", "given"), ("aligned", "aligned"))
        if row.get(key)
    ]


def _known(row: Mapping[str, Any]) -> list[str]:
    return [key for key in ("scores", "aligned") if row.get(key)]


def _closeness(lead: Iterable[float]) -> tuple[int, float]:
    values = list(lead)
    return sum(value > 0 for value in values), min(values)
