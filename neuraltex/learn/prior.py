"""Predictions as priors of a fit: photographs fused, completed, and brought to the size of the texture."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from neuraltex.config.partial import PartialConfig
from neuraltex.config.prior import PriorConfig
from neuraltex.config.schema import FitConfig
from neuraltex.core.errors import ConfigError
from neuraltex.fit.prior import Prior
from neuraltex.io.prepared import PreparedScene
from neuraltex.learn.diffusion import diffuse
from neuraltex.learn.extract import complete
from neuraltex.learn.fuse import fuse_scene, observed, scene_symmetry
from neuraltex.learn.partial import Partial
from neuraltex.learn.prediction import Prediction
from neuraltex.texture.fill import rasterize_charts
from neuraltex.texture.layout import Layout, layout_of
from neuraltex.texture.mirror import SymmetryMap
from neuraltex.texture.resample import read_texture_as, resample

MIN_KNOWN = 0.5
"""Coverage from which a texel of the texture at hand is shown to the predictor."""


Predict = Callable[[Partial], Prediction]
"""Completes partial textures."""


class LearnedPrior:
    """Predicts a scene's texture, first from its photographs, later from the texture at hand.

    Args:
        partial: What photographs show.
        predict: What completes it.
        inside: Texels of the fitted texture that lie in charts.
        symmetry: Mirror images of the texels of the partial texture, if there are any.
    """

    def __init__(
        self,
        partial: Partial,
        predict: Predict,
        inside: Bool[np.ndarray, "Ht Wt"],
        symmetry: SymmetryMap | None = None,
    ) -> None:
        self._partial, self._predict, self._inside, self._symmetry = partial, predict, inside, symmetry

    def first(self) -> Prior:
        """Return the prediction from the photographs."""
        return Prior(*self._enlarged(self._predict(self._partial)), self)

    def __call__(
        self, texture: Float[np.ndarray, "Ht Wt 3"], coverage: Float[np.ndarray, "Ht Wt"]
    ) -> tuple[Float[np.ndarray, "Ht Wt 3"], Float[np.ndarray, "Ht Wt"]]:
        """Return the prediction from what is covered of a texture, and its confidence."""
        return self._enlarged(self._predict(self._shown(texture, coverage)))

    def _shown(self, texture: Float[np.ndarray, "Ht Wt 3"], coverage: Float[np.ndarray, "Ht Wt"]) -> Partial:
        size = self._partial.inside.shape
        weight = np.where(self._inside, coverage, 0).astype(np.float32)
        sums, total = resample(texture * weight[..., None], size), resample(weight, size)
        share = _divided(total, resample(self._inside.astype(np.float32), size))
        known = self._partial.inside & (share > MIN_KNOWN)
        seen = observed(_divided(sums, total[..., None]), np.where(known, share.clip(0, 1), 0))
        return replace(self._partial, **vars(complete(seen, self._symmetry, PartialConfig())))

    def _enlarged(self, found: Prediction) -> tuple[Float[np.ndarray, "Ht Wt 3"], Float[np.ndarray, "Ht Wt"]]:
        """Bring a prediction to the size of the texture; what lies between charts must not bleed in."""
        size, weight = self._inside.shape, self._partial.inside.astype(np.float32)
        layers = np.concatenate([found.texture, found.confidence[..., None]], -1) * weight[..., None]
        layers = _divided(resample(layers, size), resample(weight, size)[..., None])
        confidence = np.where(self._inside, layers[..., 3].clip(0, 1), 0).astype(np.float32)
        return np.ascontiguousarray(layers[..., :3].clip(0, 1)), confidence


def scene_prior(scene: PreparedScene, config: FitConfig) -> Prior:
    """Return what is predicted of a scene's texture.

    Args:
        scene: Prepared scene.
        config: Settings; without a prior they ask for what the networks predict, to start from.

    Raises:
        ConfigError: if no file is named where one is needed.
        DataError: if the file or the checkpoint cannot be read, or the checkpoint is for another uv layout.
    """
    size = config.texture.size or scene.texture_size
    inside = rasterize_charts(scene.mesh, size)
    if config.prior.kind == "file":
        if config.prior.file is None:
            raise ConfigError("no texture is named", source="prior.kind file", hint="Give --prior.file TEXTURE")
        return Prior(read_texture_as(config.prior.file, size), inside.astype(np.float32))
    predict, symmetry = make_predictor(config.prior, layout_of(scene.mesh)), scene_symmetry(scene, config.prior)
    return LearnedPrior(fuse_scene(scene, config, symmetry), predict, inside, symmetry).first()


def make_predictor(config: PriorConfig, layout: Layout) -> Predict:
    """Return what completes partial textures of a uv layout.

    Raises:
        DataError: if the checkpoint cannot be read or is for another uv layout.
    """
    if config.kind == "diffusion":
        return diffuse
    from neuraltex.learn.load import load_predictor  # noqa: PLC0415

    return load_predictor(config.checkpoint, layout)


def _divided(sums: Float[np.ndarray, "..."], weights: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Divide where there is weight; 0 elsewhere."""
    safe = np.where(weights > 1e-4, weights, 1)
    return np.where(weights > 1e-4, sums / safe, 0).astype(np.float32)
