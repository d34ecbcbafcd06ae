"""The settings of a fit; every field's docstring is its help text on the command line.

Colors are in [0, 1] everywhere. Weights from a method that works in [-1, 1] carry over unchanged as long as all terms
are of first order in color (L1, image gradients, perceptual distances): their factor 2 cancels in Adam's step.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from neuraltex.config.prior import PriorConfig


@dataclass(frozen=True, kw_only=True)
class TextureConfig:
    """What is optimized."""

    kind: Literal["plain", "pyramid", "neural"] = "plain"
    """plain: one image; pyramid: a sum of images at halved sizes; neural: features and a small decoder."""
    size: int = 0
    """Side of the texture [texel]; 0 takes the size the scene was prepared for."""
    levels: int = 4
    """Levels of a pyramid, and of the mip chain when --texture.mip is on."""
    features: int = 8
    """Channels of a neural texture."""
    mip: bool = False
    """Sample from a mip chain by the footprint of each pixel instead of bilinearly from the finest level."""
    init: Literal["direct", "mean", "zeros", "grey", "learned"] = "mean"
    """direct: solution of the normal equations; mean: robust mean of the photographs; zeros: black; grey: 0.5; learned:
    what --prior.kind predicts, or the networks if that is none."""
    init_file: Path | None = None
    """Texture to start from instead (PNG, JPEG or EXR of any size), laid out as the mesh's uvs are."""
    init_rounds: int = 3
    """Passes over the photographs for the mean; from the second on, colors are matched and outliers lose weight."""
    init_outlier: float = 0.1
    """Difference from the mean at which a pixel has half its weight in the next round [color in 0 to 1]."""
    gutter: int = 8
    """Width of the border painted around every chart, so that no renderer bleeds background into it [texel]."""
    seam_strip: int = 6
    """Width of the strip along cut edges in which the finished texture is changed so that both sides agree [texel]; 0
    leaves it as it was fitted."""


@dataclass(frozen=True, kw_only=True)
class PixelConfig:
    """How far each pixel of a photograph is trusted."""

    cosine_power: float = 1.0
    """Weight by this power of the cosine between surface normal and viewing ray."""
    min_cosine: float = 0.1
    """Ignore pixels seen at a flatter angle than this cosine."""
    margin: float = 3.0
    """Ignore pixels closer than half of this to a depth discontinuity and fade in up to this distance [px]."""
    footprint_power: float = 0.0
    """Weight by this power of the texture resolution a pixel offers, relative to the median of all photographs; -2
    makes a photograph count alike from near and far."""
    sharpness_power: float = 0.0
    """Weight a photograph by this power of its sharpness relative to the others that see the same texels."""
    outlier_regions: float = 0.0
    """Ignore regions of a photograph that differ by more than this from what most of the others show there, e.g. things
    that moved; 0 does not look [color in 0 to 1]."""
    saturation: bool = False
    """Give over-exposed and black pixels (a channel above 250 or all below 3 of 255) next to no weight."""
    depth_tolerance: float = 0.0
    """Ignore pixels whose sensor depth differs by more than this share of the depth from the mesh; 0 does not look."""
    mask_erosion: int = 2
    """Erode user masks by so many pixels: their borders are rarely exact [px]."""


@dataclass(frozen=True, kw_only=True)
class DirectConfig:
    """The texture as the solution of normal equations, accumulated photograph by photograph."""

    passes: int = 2
    """Passes over the photographs; from the second on, pixels are weighted by how well they fit."""
    penalty: Literal["l2", "l1", "huber", "cauchy", "geman_mcclure"] = "cauchy"
    """Penalty of a pixel's difference, minimized by iteratively re-weighted least squares."""
    scale: float = 0.1
    """Difference at which Huber turns linear, or half (cauchy) or three quarters (geman_mcclure) of the weight is lost
    [color in 0 to 1]."""
    half_first: bool = False
    """Make all passes but the last with photographs and texture of half the size: squares of 2x2 pixels lose weight."""
    base_level: int = 0
    """Take colors coarser than this level of the mip chain (1 to 3) from the least-squares mean, in which a photograph
    does not count more for being near, and only finer details from the robust solution; 0 takes all from the latter."""
    mip: bool = True
    """Let each pixel constrain the level of the mip chain that its footprint covers, not the finest texels."""
    footprint: float = 1.0
    """Size of the area that a pixel is taken for, relative to its own; above 1 the texture becomes smoother."""
    smoothness: float = 0.1
    """Weight of the smoothness within charts, in pixels of full confidence per texel; it also fills holes."""
    seam: float = 1.0
    """Weight of the agreement of both sides of a cut edge, in pixels of full confidence per texel of its length."""
    tolerance: float = 1e-3
    """Relative residual at which the solver stops."""
    max_iterations: int = 25
    """Limit of its iterations."""
    save_equations: bool = False
    """Keep the equations in the run folder, so that photographs can be added later."""
    extend: Path | None = None
    """Run folder with saved equations to add this scene's new photographs to."""


@dataclass(frozen=True, kw_only=True)
class CalibrateConfig:
    """Cameras refined on the photographs and the texture in turns."""

    cameras: bool = False
    """Refine the pose of every photograph."""
    intrinsics: bool = False
    """Refine focal length, principal point and radial distortion, shared by photographs of one camera."""
    rig: bool = False
    """Refine one offset shared by all photographs: the color camera relative to the camera of the poses."""
    flow: int = 0
    """Warp every photograph by a smooth grid of this spacing for what rigid motion cannot explain [px]; 0: do not."""
    rounds: int = 6
    """Rounds of texture fit and camera steps, from coarse to fine images."""
    coarsest: int = 8
    """Factor by which the images of the first round are reduced; halves from round to round."""
    finest: int = 1
    """Factor below which it does not fall."""
    shared_rounds: int = 0
    """First rounds that refine rig and intrinsics and leave the poses as they are."""
    flow_rounds: int = 3
    """Last rounds in which the grid is refined too."""
    joint_rounds: int = 0
    """Last rounds in which the poses of all photographs are solved for at once: ends what neighbors have in common,
    which photograph by photograph takes many rounds."""
    contours: int = 0
    """Steps that then move all cameras together until contours of the mesh meet edges of the photographs, for a mesh
    that is exact to a pixel; 0 leaves them where the photographs agree with each other."""


@dataclass(frozen=True, kw_only=True)
class ColorConfig:
    """Differences of exposure and white balance between the photographs."""

    model: Literal["none", "gain", "affine", "gamma"] = "none"
    """Match the texture to each photograph by nothing, a gain, a gain and a bias, or a gain and a power per channel."""
    vignette: bool = False
    """Also fit a radial fall-off of brightness, shared by the photographs of one camera."""
    reference: str = ""
    """Photograph whose colors the texture takes; without it those of the median exposure."""
    every: int = 50
    """Fit again after so many steps of the gradient fit; 0 keeps what was found before it."""


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the terms; 0 leaves a term out. All are masked means over valid pixels."""

    l1: float = 0.0
    """Absolute difference."""
    l2: float = 0.0
    """Squared difference."""
    charbonnier: float = 0.0
    """sqrt(difference^2 + epsilon^2): L1 with a smooth minimum."""
    gradient: float = 0.0
    """Absolute difference of the image gradients, where both pixels of a pair are valid."""
    ssim: float = 0.0
    """1 - structural similarity (SSIM, Gaussian window of 1.5 px)."""
    vgg_content: float = 0.0
    """Distance of VGG features."""
    vgg_style: float = 0.0
    """Distance of the Gram matrices of VGG features."""
    lpips: float = 0.0
    """Learned perceptual distance (LPIPS v0.1, VGG16)."""
    tv: float = 0.0
    """Total variation of the texture."""
    energy: float = 0.0
    """Energies of the levels of a pyramid: keeps what coarse levels can say out of the fine ones."""
    anchor: float = 0.0
    """Squared difference between the texture and the initial one: keeps what the start got right."""
    anchor_level: int = 0
    """Level of the mip chain at which --loss.anchor compares; above 0 it holds colors and leaves detail free."""
    vgg: Literal["vgg16", "vgg19"] = "vgg16"
    """Network of the VGG terms."""
    content_layers: tuple[str, ...] = ("relu1_2", "relu2_2", "relu3_3")
    """Layers of --loss.vgg-content."""
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    """Layers of --loss.vgg-style."""
    vgg_normalize: bool = True
    """Normalize the colors that VGG sees as in its training; NeuralTexGen did not."""
    style_image: Path | None = None
    """Image whose style to take; without it every photograph is its own."""
    perceptual_crop: int = 0
    """Evaluate VGG and LPIPS on a crop of this size from the middle of each window, once that is reduced [px]; 0 takes
    all of it."""
    perceptual_reduce: int = 1
    """Average blocks of so many pixels squared before VGG and LPIPS see a crop, for a fraction of the time; 0 brings
    photographs down to the size at which LPIPS is scored."""
    perceptual_windows: int = 0
    """Windows per step that VGG and LPIPS are evaluated on, their weight raised accordingly; 0 takes all of them."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How it is optimized (Adam)."""

    steps: int = 300
    """Number of steps; 0 leaves the initial texture."""
    batch: int = 8
    """Windows per step; 0 takes all photographs whole (full batch)."""
    crop: int = 512
    """Side of the windows cut out of the photographs [px]; 0 takes them whole."""
    lr: float = 0.01
    """Learning rate [color in 0 to 1]."""
    beta1: float = 0.9
    """Decay of Adam's first moment."""
    beta2: float = 0.999
    """Decay of Adam's second moment."""
    perceptual_steps: int = 0
    """Last steps in which VGG and LPIPS take part, after the other terms have done their work; 0 is all of them."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises linearly from 0."""
    decay: Literal["none", "linear", "cosine"] = "linear"
    """How the learning rate falls over the last --loop.decay-steps."""
    decay_steps: int = 100
    """Number of last steps over which the learning rate falls to 0."""
    amp: bool = True
    """Evaluate perceptual terms in bfloat16 where the processor is made for it: CUDA, CPUs with AVX512-BF16 or AMX."""
    cache_gb: float = 6.0
    """Memory for photographs and uv maps, which a direct fit borrows from; what does not fit is read again [GB]."""
    log_every: int = 10
    """Steps between two lines of the history."""
    image_every: int = 0
    """Steps between two renders and textures in TensorBoard; 0 writes them at the end only."""
    check_share: float = 0.0
    """Share of the training pixels (whole blocks of 32x32) kept out of the fit to watch it; 0 keeps none out."""
    check_every: int = 20
    """Steps between two looks at these pixels; the best state is kept."""
    check_patience: int = 3
    """Stop after so many looks without an improvement."""
    check_loss_db: float = 0.1
    """A state whose color-fitted PSNR on these pixels lies further below the start's than this is never kept [dB]."""
    val_every: int = 0
    """Steps between two scores on held-out photographs (never used for fitting); 0 scores at the end only."""
    val_views: int = 4
    """Held-out photographs of these scores; 0 scores none."""
    checkpoint_every: int = 100
    """Steps between two checkpoints; 0 writes one at the end only."""
    max_loss_growth: float = 20.0
    """Stop with an error when the loss exceeds this multiple of what it was in the first steps; 0 never does."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "crop", "perceptual_steps", "warmup_steps", "decay_steps", "checkpoint_every"):
            if getattr(self, name) < 0:
                raise ValueError(f"loop.{name} is {getattr(self, name)}, it must not be negative")
        if not self.lr > 0:
            raise ValueError(f"loop.lr is {self.lr}, it must be positive")


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Everything that decides the result of a fit, apart from the scene."""

    texture: TextureConfig = field(default_factory=TextureConfig)
    pixels: PixelConfig = field(default_factory=PixelConfig)
    direct: DirectConfig = field(default_factory=DirectConfig)
    calibrate: CalibrateConfig = field(default_factory=CalibrateConfig)
    color: ColorConfig = field(default_factory=ColorConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
    seed: int = 0
    """Seed of the order of the photographs and of random initial values."""
    vgg_weights: Path | None = None
    """File with the VGG weights; without it the cache is searched, then they are downloaded."""
    lpips_weights: Path | None = None
    """File with the LPIPS heads; without it the cache is searched, then they are downloaded."""
