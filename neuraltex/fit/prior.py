"""A prior for textures: a prediction that texels lean on the more, the less photographs say about them.

With T the texture, P the prediction, c its confidence and k the coverage of a texel, a fit also lowers

    weight * mean[w * huber(T - P)] + gradient_weight * mean[w * |grad T - grad P|],   w = (1 - k) * c,

means over the surface, gradients between neighbors of one chart only. Smoothness acts on ``T - (1 - k) P``: where
nothing is seen it keeps the difference from the prediction smooth, not the texture, so that the two join without a step
(P. Perez et al., "Poisson image editing", 2003). Every so often the prediction may be made anew from the texture at
hand, as a denoiser is in plug-and-play methods (S. Venkatakrishnan et al., "Plug-and-play priors for model based
reconstruction", 2013); nothing is ever differentiated through it.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float

from neuraltex.config.prior import PriorConfig
from neuraltex.config.schema import FitConfig
from neuraltex.core.errors import ShapeError
from neuraltex.fit.base import MIN_SEEN
from neuraltex.fit.surface import Surface
from neuraltex.texture.fill import push_pull

FADE = 3.0
"""Distance from seen texels over which the step to a prediction falls to 1/e [texel]."""


class Refresh(Protocol):
    """Makes a prediction from a texture that is known in part."""

    def __call__(
        self, texture: Float[np.ndarray, "Ht Wt 3"], coverage: Float[np.ndarray, "Ht Wt"]
    ) -> tuple[Float[np.ndarray, "Ht Wt 3"], Float[np.ndarray, "Ht Wt"]]:
        """Return the predicted texture and its confidence, both of the size of what is given (float32).

        Args:
            texture: The texture at hand.
            coverage: How far photographs determine each texel, in [0, 1].
        """
        ...


@dataclass(frozen=True, eq=False)
class Prior:
    """A prediction; what makes it is no business of the fit.

    Args:
        texture: Predicted colors, of the size of the fitted texture (float32).
        confidence: How far they are trusted, in [0, 1]; 0 between charts (float32).
        refresh: Makes the next prediction; ``None`` keeps this one.
    """

    texture: Float[np.ndarray, "Ht Wt 3"]
    confidence: Float[np.ndarray, "Ht Wt"]
    refresh: Refresh | None = None

    def __post_init__(self) -> None:
        if self.texture.shape != (*self.confidence.shape, 3):
            raise ShapeError(f"prior has shape {self.texture.shape}, its confidence {self.confidence.shape}")

    @property
    def predicted(self) -> Bool[np.ndarray, "Ht Wt"]:
        """Texels that the prediction says something about."""
        return self.confidence > 0

    def refreshed(
        self, texture: Float[np.ndarray, "Ht Wt 3"], coverage: Float[np.ndarray, "Ht Wt"], ema: float
    ) -> "Prior":
        """Return a moving average with the prediction from the texture at hand.

        Args:
            texture: The texture at hand.
            coverage: How far photographs determine each texel, in [0, 1].
            ema: Share that is kept.
        """
        if self.refresh is None:
            return self
        ours, rest = np.float32(ema), np.float32(1 - ema)
        colors, confidence = self.refresh(texture, coverage)
        return replace(
            self,
            texture=ours * self.texture + rest * colors,
            confidence=ours * self.confidence + rest * confidence,
        )


@dataclass(frozen=True, eq=False)
class Leaning:
    """How far texels lean on a prior.

    Args:
        coverage: How far photographs determine each texel, in [0, 1]; exactly 1 where the prior is off (float32).
        unit: Sum of pixel weights at which each texel counts as fully covered (float32).
    """

    coverage: Float[np.ndarray, "Ht Wt"]
    unit: Float[np.ndarray, "Ht Wt"]

    @classmethod
    def of(cls, weights: Float[np.ndarray, "Ht Wt"], surface: Surface, config: PriorConfig) -> "Leaning":
        """Scale sums of pixel weights to coverage.

        Sums depend on the resolution of photographs relative to the texture, which differs from chart to chart. So they
        are taken per area of the surface, and compared with their median over seen texels.

        Args:
            weights: Sum of the weights of the pixels that say something about each texel.
            surface: Charts and the area that each texel covers.
            config: Shares.
        """
        inside = surface.charts > 0
        density = (weights / surface.area)[inside & (weights > MIN_SEEN)]
        full = config.full_coverage * float(np.median(density)) if len(density) else 1.0
        unit = np.float32(full) * surface.area
        coverage = np.clip(weights / unit, 0, 1).astype(np.float32)
        coverage[(coverage > config.off_above) | ~inside] = 1
        return cls(coverage, unit)

    def openness(self, confidence: Float[np.ndarray, "Ht Wt"]) -> Float[np.ndarray, "Ht Wt"]:
        """Return 1 - coverage where the prediction says something, else 0."""
        return np.where(confidence > 0, 1 - self.coverage, 0).astype(np.float32)

    def weight(self, confidence: Float[np.ndarray, "Ht Wt"]) -> Float[np.ndarray, "Ht Wt"]:
        """Return w of each texel."""
        return ((1 - self.coverage) * confidence).astype(np.float32)


def is_used(config: PriorConfig, prior: Prior | None) -> bool:
    """Whether a fit leans on a prior that is at hand; it may also be there to start from only."""
    return prior is not None and config.kind != "none"


def predicted_texels(
    config: FitConfig, prior: Prior | None, seen: Bool[np.ndarray, "Ht Wt"]
) -> Bool[np.ndarray, "Ht Wt"] | None:
    """Return the texels nobody saw that need no fill, since they lean on a prediction or started from a whole texture.

    Args:
        config: Settings.
        prior: The prediction.
        seen: Texels that at least one photograph says something about.
    """
    if prior is not None and is_used(config.prior, prior):
        return prior.predicted & ~seen
    return ~seen if config.texture.init_file is not None or config.texture.init == "learned" else None


def blend_in(
    texture: Float[np.ndarray, "Ht Wt 3"], seen: Bool[np.ndarray, "Ht Wt"], prior: Prior
) -> Float[np.ndarray, "Ht Wt 3"]:
    """Return a texture with a prediction where nothing is seen; the step between the two fades within a few texels.

    Args:
        texture: Colors of seen texels.
        seen: Texels that at least one photograph says something about.
        prior: The prediction.
    """
    from scipy.ndimage import distance_transform_edt  # noqa: PLC0415

    unseen = prior.predicted & ~seen
    if not unseen.any():
        return texture
    fade = np.exp(-distance_transform_edt(~seen) / FADE) if seen.any() else np.zeros(seen.shape)
    step = push_pull(texture - prior.texture, seen)
    blended = prior.texture + step * fade[..., None].astype(np.float32)
    return np.where(unseen[..., None], blended, texture).astype(np.float32)
