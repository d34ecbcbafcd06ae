"""Time texture sampling against a bare ``grid_sample`` on the same tensors.

The contract: one optimization step (sample, L1, gradient on the texels) takes at most twice the forward and backward
pass of ``grid_sample`` alone. Both libraries are timed in turn, so that a busy machine disturbs them alike.
"""

from collections.abc import Callable

import numpy as np
import torch
from machine import measure, write_result
from torch import Tensor
from torch.nn import functional

from neuraltex.core.conventions import grid_from_uv
from neuraltex.losses.photometric import l1
from neuraltex.texture.plain import PlainTexture
from neuraltex.texture.pyramid import PyramidTexture
from neuraltex.texture.sample import splat_bilinear

SIZE, VIEWS, HEIGHT, WIDTH = 2048, 4, 480, 640
ROUNDS, LIMIT = 9, 2.0


def make_pixels(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return uv [P, 2] of views that each see a bent part of the texture, and random colors [P, 3]."""
    y, x = torch.meshgrid(torch.linspace(0, 1, HEIGHT), torch.linspace(0, 1, WIDTH), indexing="ij")
    views = [
        torch.stack([0.05 + 0.4 * x + 0.1 * torch.sin(5 * y) + 0.1 * i, 0.1 + 0.5 * y + 0.08 * i], -1)
        for i in range(VIEWS)
    ]
    uv = torch.stack(views).reshape(-1, 2).clamp(0, 1)
    return uv, torch.rand(len(uv), 3, generator=torch.Generator().manual_seed(seed))


def bare_grid_sample(texels: Tensor, uv: Tensor, batch: int) -> Callable[[], None]:
    """Return forward and backward of grid_sample; ``batch`` lists of pixels share the texture (its CPU threads)."""
    image = texels.detach().permute(2, 0, 1)[None].contiguous().requires_grad_()
    grid = grid_from_uv(uv).reshape(batch, -1, 1, 2)
    cotangent = torch.rand(batch, 3, grid.shape[1], 1)

    def step() -> None:
        image.grad = None
        expanded = image.expand(batch, -1, -1, -1)
        samples = functional.grid_sample(expanded, grid, padding_mode="border", align_corners=False)
        samples.backward(cotangent)

    return step


def optimization_step(
    texture: torch.nn.Module, uv: Tensor, target: Tensor, footprint: Tensor | None = None
) -> Callable[[], None]:
    """Return sampling, L1 and the gradient on the parameters; without the optimizer, which grid_sample lacks too."""

    def step() -> None:
        texture.zero_grad()
        l1(texture(uv, footprint), target).backward()

    return step


def main() -> int:
    uv, target = make_pixels()
    plain, pyramid = PlainTexture(SIZE), PyramidTexture(SIZE)
    cases = {
        "grid_sample": bare_grid_sample(plain.texels, uv, 1),
        "grid_sample, one list per view": bare_grid_sample(plain.texels, uv, VIEWS),
        "plain, L1": optimization_step(plain, uv, target),
        "plain, L1, mip": optimization_step(plain, uv, target, torch.full((len(uv),), 1.5)),
        "pyramid of 4, L1": optimization_step(pyramid, uv, target),
        "splat": lambda: splat_bilinear(target, uv, (SIZE, SIZE)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for index in range(ROUNDS + 1):
        for name, case in cases.items():
            best = measure(case, repeats=1, warmup=0)["best"]
            if index:
                seconds[name].append(best)
    rows = {
        name: {"seconds": round(float(np.median(values)), 4), "best": min(values)} for name, values in seconds.items()
    }
    ratios = [ours / bare for ours, bare in zip(seconds["plain, L1"], seconds["grid_sample"], strict=True)]
    ratio = round(float(np.median(ratios)), 3)
    setting = {"texture": SIZE, "pixels": len(uv), "threads": torch.get_num_threads(), "rounds": ROUNDS}
    path = write_result("sampling", {"setting": setting, "cases": rows, "step_over_grid_sample": ratio, "limit": LIMIT})
    print(f"{path}: one L1 step takes {ratio} x bare grid_sample (limit {LIMIT})")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
