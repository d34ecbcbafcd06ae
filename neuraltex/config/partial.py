"""The settings of extracting a partial texture; every field's docstring is its help text on the command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from neuraltex.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class PartialConfig:
    """How a photograph becomes a partial texture."""

    size: int = 256
    """Side of the square texture [texel]."""
    min_cosine: float = 0.15
    """Leave out texels seen at a flatter angle than this cosine between normal and viewing ray."""
    full_cosine: float = 0.65
    """Cosine from which on the angle costs no confidence."""
    matte_erosion: float = 2.0
    """Leave out pixels closer than this to the border of the matte: mattes are rarely exact [px]."""
    margin: float = 1.5
    """Leave out pixels closer than this to a depth discontinuity [px]."""
    ramp: float = 4.0
    """Distance beyond margin and erosion over which confidence rises from half to full [px]."""
    depth_tolerance: float = 0.003
    """Difference from the depth of the surface in the photograph up to which a texel counts as that surface, as a share
    of the diagonal of the mesh's box."""
    occlusion_tolerance: float = 0.0005
    """Leave out texels with anything in front of them by more than this share of the diagonal of the mesh's box."""
    mirror: bool = True
    """Complete the texture by its mirror image where the mesh is symmetric."""
    plane: Literal["search", "x", "y", "z"] = "search"
    """Plane of symmetry of the rest mesh: searched for, or across the middle of an axis."""
    match_gains: bool = True
    """Match the colors of mirrored texels to those around them by one gain per channel, chart and side."""
    mirror_confidence: float = 0.5
    """Confidence of a mirrored texel, as a share of that of its mirror image."""

    def __post_init__(self) -> None:
        if not 8 <= self.size <= 8192:
            raise UsageError(f"texture size {self.size} is not in [8, 8192]", source="--size", hint="Try 256")
        if not 0 <= self.min_cosine < self.full_cosine <= 1:
            raise UsageError(
                f"cosines {self.min_cosine} and {self.full_cosine} are not in order within [0, 1]",
                source="--min-cosine, --full-cosine",
                hint="Try 0.15 and 0.65",
            )
        for name in ("matte_erosion", "margin", "ramp", "depth_tolerance", "occlusion_tolerance"):
            if getattr(self, name) < 0:
                flag = "--" + name.replace("_", "-")
                raise UsageError(f"{getattr(self, name)} is negative", source=flag, hint="Give 0 or more")
        if not 0 < self.mirror_confidence <= 1:
            raise UsageError(f"{self.mirror_confidence} is not in (0, 1]", source="--mirror-confidence", hint="Try 0.5")


@dataclass(frozen=True, kw_only=True)
class PartialSources:
    """Where everything about a set of photographs lies; what is a folder holds files named like the photographs."""

    images: Path
    """Folder of photographs, or one with a transforms.json and its images folder."""
    mesh: Path
    """Mesh in the pose of all photographs, or folder with one each."""
    cameras: Path | None = None
    """transforms.json, JSON file with one camera, or folder with one each; by default those beside the photographs."""
    mattes: Path | None = None
    """Folder of mattes; by default the photographs' own transparency, if any."""
    rest_mesh: Path | None = None
    """Mesh of the same uv layout in a symmetric pose; by default the mesh of the first photograph."""
    textures: Path | None = None
    """Whole texture, or folder with one each, where they are known."""
