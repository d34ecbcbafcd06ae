"""Settings of the networks for learned textures and of their training; every field's docstring is its help text."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class SamplerConfig:
    """The network that fills a texture by pointing at what is known of it."""

    kind: Literal["lite", "paper"] = "lite"
    """lite: several hypotheses, small enough to train on a CPU; paper: the published layers."""
    width: int = 24
    """Channels of the finest level; they double from level to level, up to eight times as many."""
    levels: int = 4
    """Halvings between the finest and the coarsest level."""
    hypotheses: int = 4
    """Places that every texel looks at: itself, its mirror images left-right and front-back, and both at once."""
    geometry: bool = True
    """Show the network normals, positions and uv of the target mesh."""
    mirror: bool = True
    """Show the network texels known from their mirror image only; without it they count as unseen."""
    reach: float = 1.0
    """Largest offset from the place of a hypothesis, as a share of half of the texture."""
    wrap: bool = False
    """The texture is periodic in u, as on a cylinder."""


@dataclass(frozen=True, kw_only=True)
class RefinerConfig:
    """The network that repairs what the sampler makes and decides where to use it."""

    kind: Literal["lite", "paper"] = "lite"
    """lite: a small gated U-Net; paper: the published layers."""
    width: int = 24
    """Channels of the finest level; they double from level to level, up to eight times as many."""
    levels: int = 4
    """Halvings between the finest and the coarsest level."""
    geometry: bool = True
    """Show the network normals, positions and uv of the target mesh."""


@dataclass(frozen=True, kw_only=True)
class LearnLossConfig:
    """Weights of the terms of the training; 0 leaves a term out."""

    l1: float = 1.0
    """Absolute difference from the true texture, inside charts."""
    l2: float = 0.0
    """Squared difference: among colors that are equally likely it wants their mean, the absolute one their median."""
    gradient: float = 1.0
    """Absolute difference of the image gradients from the true texture's, at three scales."""
    unseen: float = 1.0
    """Weight of texels that were not seen directly, relative to those that were."""
    parts: float = 0.0
    """Absolute difference again, as the sum over the parts of the layout of their means (--train.parts)."""
    smooth: float = 0.05
    """Total variation of the sampler's offsets inside charts."""
    off_mask: float = 0.1
    """Share of what the sampler reads that nobody knows."""
    places: float = 0.0
    """Distance of the places that the sampler looks at from where the color truly lies, for data that know (shift)."""
    sampled: float = 0.0
    """Absolute difference of the refiner's result from what was sampled."""
    refined: float = 0.5
    """The l1, l2 and gradient terms again for the refined colors alone, without what was sampled."""
    perceptual: float = 0.0
    """Distance of VGG features from the true texture's."""
    lpips: float = 0.0
    """Learned perceptual distance (LPIPS v0.1, VGG16) from the true texture."""
    consistency: float = 0.0
    """Absolute difference between the textures predicted from two photographs of one subject."""
    gan: float = 0.0
    """What a critic thinks of the result."""
    matching: float = 0.0
    """Distance of the critic's features from the true texture's."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a network is trained (Adam, moving average of the weights)."""

    steps: int = 2000
    """Number of steps."""
    batch: int = 12
    """Samples per step."""
    size: int = 0
    """Side of the texture [texel]; 0 takes that of the data."""
    lr: float = 2e-3
    """Learning rate."""
    beta1: float = 0.9
    """Decay of Adam's first moment."""
    decay: Literal["none", "linear", "cosine"] = "cosine"
    """How the learning rate falls to 0 over the last --train.decay-share of the steps."""
    decay_share: float = 1.0
    """Share of the steps over which the learning rate falls."""
    warmup_steps: int = 50
    """Steps over which the learning rate rises linearly from 0."""
    parts: Literal["charts", "smpl"] = "charts"
    """Parts of --loss.parts: every chart, or the published boxes of the SMPL layout, the head six times."""
    curriculum: Literal["none", "lite", "paper"] = "none"
    """Inputs of the first steps: real partial textures, or true textures seen through the mask, then warped."""
    blur: float = 0.0
    """Blur of input and truth in the first step, falling to none at --train.blur-share: colors in the large are aligned
    before patterns [texel]."""
    blur_share: float = 0.3
    """Share of the steps in which they are blurred."""
    places_share: float = 0.5
    """Share of the steps over which --loss.places falls to 0."""
    fused: float = 0.0
    """Share of the samples that show what several photographs of their subject do, as in a scene with several views."""
    fused_views: int = 8
    """Largest number of photographs that are fused."""
    perceptual_every: int = 1
    """Evaluate VGG and LPIPS in every so many steps, their weight raised accordingly."""
    perceptual_batch: int = 4
    """Samples of a step that VGG and LPIPS look at."""
    color_jitter: float = 0.3
    """Largest random gain of each color channel, the same for a sample and its truth; also shuffles channels when above
    0.5."""
    ema: float = 0.999
    """Decay of the moving average of the weights, which is what a checkpoint holds."""
    amp: bool = True
    """Evaluate convolutions in bfloat16 where the processor is made for it."""
    gan_mode: Literal["bce", "lsgan", "hinge"] = "bce"
    """Loss of the critic and of what it judges."""
    critic_width: int = 64
    """Channels of the first layer of the critic."""
    gan_warmup: float = 0.1
    """Share of the steps before the critic takes part."""
    val_every: int = 500
    """Steps between two scores on the validation subjects."""
    val_samples: int = 48
    """Samples of these scores."""
    log_every: int = 20
    """Steps between two lines of the history."""
    checkpoint_every: int = 500
    """Steps between two states that --resume can go on from."""
    seed: int = 0
    """Seed of the weights, of the order of the samples and of the augmentation."""


@dataclass(frozen=True, kw_only=True)
class LearnConfig:
    """Everything that decides what a training makes of its data."""

    sampler: SamplerConfig = field(default_factory=SamplerConfig)
    refiner: RefinerConfig = field(default_factory=RefinerConfig)
    loss: LearnLossConfig = field(default_factory=LearnLossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
