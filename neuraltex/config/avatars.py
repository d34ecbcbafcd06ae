"""The settings of making training data; every field's docstring is its help text on the command line."""

from dataclasses import dataclass
from typing import Literal

from neuraltex.core.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class AvatarConfig:
    """How textures become training samples."""

    size: int = 256
    """Side of the square textures [texel]."""
    photo_size: int = 512
    """Side of the square photographs [px]."""
    azimuths: tuple[float, float, float] = (-90, 90, 10)
    """First and last azimuth of the photographs and the step between them [degree]."""
    azimuth_jitter: float = 0.0
    """Largest random change of each of these, for procedural subjects [degree]."""
    elevation: float = 0.0
    """Height of the camera above the horizon [degree]."""
    front: Literal["+z", "-z", "+x", "-x"] = "+z"
    """Where the bodies face; up is +y."""
    every_body: bool = False
    """Put each texture on every body instead of one, chosen by the name of the subject."""
    mirror: bool = True
    """Complete partial textures by their mirror images."""
    seed: int = 0
    """Seed of which body a subject gets, and of procedural subjects."""
    test_share: float = 0.2
    """Share of the subjects kept out of training, to be scored on."""
    val_share: float = 0.0
    """Share of the subjects kept out of training, to choose by."""
    duplicate_rms: float = 0.03
    """Textures that differ by less than this are variants of one subject and stay in one split [color in 0 to 1]."""
    license: str = ""
    """License of the textures, kept with the samples and with what is trained on them."""

    def __post_init__(self) -> None:
        if not 8 <= self.size <= 4096:
            raise UsageError(f"texture size {self.size} is not in [8, 4096]", source="--size", hint="Try 256")
        if not 32 <= self.photo_size <= 8192:
            raise UsageError(f"{self.photo_size} px is not in [32, 8192]", source="--photo-size", hint="Try 512")
        first, last, step = self.azimuths
        if step <= 0 or last < first:
            raise UsageError(f"{self.azimuths} is no range", source="--azimuths", hint="Try --azimuths -90 90 10")
        if min(self.test_share, self.val_share) < 0 or self.test_share + self.val_share >= 1:
            raise UsageError(
                f"shares {self.test_share} and {self.val_share} leave nothing to train on",
                source="--test-share, --val-share",
                hint="Try 0.2 and 0",
            )

    def angles(self) -> tuple[float, ...]:
        """Return the azimuths [degree]."""
        first, last, step = self.azimuths
        return tuple(first + step * index for index in range(int((last - first) / step + 1e-9) + 1))
