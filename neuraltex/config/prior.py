"""The settings of what a fit expects where photographs say little."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class PriorConfig:
    """A predicted texture that texels lean on where photographs say little; off, exactly, where they say enough."""

    kind: Literal["none", "learned", "diffusion", "file"] = "none"
    """none: unseen texels are filled smoothly; learned: what the networks predict from the photographs; diffusion: what
    they show and its mirror image, spread smoothly; file: the image of --prior.file."""
    checkpoint: Path | None = None
    """Checkpoint of the networks; without it the one that ships for the mesh's uv layout."""
    file: Path | None = None
    """Texture (PNG, JPEG or EXR of any size) for --prior.kind file."""
    size: int = 256
    """Side of the texture that photographs are fused on for a prediction [texel]."""
    mirror: bool = True
    """Complete what photographs show by its mirror image where the mesh, as it stands, is symmetric."""
    weight: float = 0.1
    """Weight of the difference from the prediction where nothing is seen. A direct fit takes it in units of the data
    at full coverage, a gradient fit in units of the weight of color differences."""
    final_weight: float = 0.02
    """What --prior.weight has fallen to at the end of a gradient fit (cosine)."""
    gradient_weight: float = 0.05
    """Weight of the difference of color gradients from those of the prediction, in the same units."""
    full_coverage: float = 0.25
    """Sum of pixel weights at which a texel counts as fully covered, as a share of the median of seen texels."""
    off_above: float = 0.98
    """Coverage from which on a texel is left to the photographs."""
    refresh_every: int = 200
    """Steps of a gradient fit between two predictions from the texture at hand; 0 keeps the first one."""
    ema: float = 0.7
    """Share that is kept of the prediction so far when it is refreshed."""

    def __post_init__(self) -> None:
        for name in ("weight", "final_weight", "gradient_weight", "refresh_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"prior.{name} is {getattr(self, name)}, it must not be negative")
        for name in ("ema", "off_above"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"prior.{name} is {getattr(self, name)}, it must lie in [0, 1]")
        if not self.full_coverage > 0:
            raise ValueError(f"prior.full_coverage is {self.full_coverage}, it must be positive")
        if self.size < 16:
            raise ValueError(f"prior.size is {self.size}, it must be at least 16")
