"""Networks as files, moving averages, and states to resume from."""

import json
import struct
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from neuraltex import __version__
from neuraltex.core.errors import DataError, DivergenceError, ResumeError
from neuraltex.fit.archive import list_states
from neuraltex.learn.checkpoint import About, load_weights, read_about, read_checkpoint, write_checkpoint
from neuraltex.learn.ema import Ema
from neuraltex.learn.trainer_state import (
    TrainerState,
    generator_states,
    latest_trainer_state,
    read_trainer_state,
    restore_generators,
    write_trainer_state,
)
from neuraltex.texture.layout import Layout

LAYOUT = Layout("square", 4, 2, "ab" * 32, "00" * 512)
OTHER = Layout("other", 9, 8, "cd" * 32, "ff" * 512)
ABOUT = About(
    kind="sampler",
    config={"sampler": {"width": 24, "wrap": False}, "loss": {"l1": 1.0}},
    layout=LAYOUT,
    resolution=128,
    step=2000,
    data="procedural bodies, Ährenfeld",
    license="CC0-1.0",
)


class Net(nn.Module):
    def __init__(self, width: int = 3, extra: bool = False) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, width, 3), nn.Linear(width, 5)
        self.register_buffer("grid", torch.linspace(-1, 1, 7))
        self.register_buffer("count", torch.tensor(3))
        if extra:
            self.more = nn.ModuleList(nn.Linear(1, 1, bias=False) for _ in range(5))


def net(seed: int = 0, **kwargs) -> Net:
    torch.manual_seed(seed)
    return Net(**kwargs)


def test_checkpoint_survives_the_disk(tmp_path: Path) -> None:
    saved = net().to(memory_format=torch.channels_last)
    about, tensors = read_checkpoint(write_checkpoint(tmp_path / "new" / "net.safetensors", saved, ABOUT))
    assert about == ABOUT
    assert about == read_about(tmp_path / "new" / "net.safetensors")
    assert about.created_by == f"neuraltex {__version__}"
    loaded = net(1)
    load_weights(loaded, tensors, "net.safetensors")
    for name, value in saved.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name
        assert loaded.state_dict()[name].dtype == value.dtype


def test_same_weights_make_the_same_file(tmp_path: Path) -> None:
    files = [write_checkpoint(tmp_path / f"{i}.safetensors", net(), ABOUT) for i in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_other_programs_can_read_it(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "net.safetensors", net(), ABOUT)
    with safe_open(path, "pt") as file:
        plain = json.loads(file.metadata()["neuraltex"])
    assert plain["license"] == "CC0-1.0"
    assert plain["layout"]["topology"] == LAYOUT.topology
    assert plain["version"] == 1


def test_half_precision_halves_parameters_and_comes_back_as_single(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(200, 200), Net())
    full, half = (write_checkpoint(tmp_path / f"{h}.safetensors", network, ABOUT, half=h) for h in (False, True))
    assert half.stat().st_size < 0.53 * full.stat().st_size
    _, tensors = read_checkpoint(half)
    assert tensors["0.weight"].dtype == torch.float32
    torch.testing.assert_close(tensors["0.weight"], network[0].weight.detach(), rtol=1e-3, atol=1e-6)
    assert torch.equal(tensors["1.grid"], network[1].grid)  # places need all digits
    assert tensors["1.count"].dtype == torch.int64


def test_parameters_too_large_for_half_precision_keep_their_values(tmp_path: Path) -> None:
    network = nn.Linear(2, 1, bias=False)
    nn.init.constant_(network.weight, 1e5)
    _, tensors = read_checkpoint(write_checkpoint(tmp_path / "n.safetensors", network, ABOUT, half=True))
    assert (tensors["weight"] == 1e5).all()


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    network = net()
    with torch.no_grad():
        network.b.bias[2] = torch.nan
    with pytest.raises(DivergenceError, match=r"b\.bias are not finite"):
        write_checkpoint(tmp_path / "net.safetensors", network, ABOUT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("keep", [0, 5, 8, 9, 200, 0.5, -1])
def test_truncated_checkpoint_is_named(tmp_path: Path, keep: float) -> None:
    path = write_checkpoint(tmp_path / "net.safetensors", net(), ABOUT)
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if 0 < keep < 1 else int(keep)])
    for read in (read_about, read_checkpoint):
        with pytest.raises(DataError, match=r"net.safetensors is truncated: \d+.*(Copy or download it again)"):
            read(path)


@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(500), b"not a checkpoint at all", bytes(100)])
def test_other_files_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"is not a safetensors file.*neuraltex train"):
        read_checkpoint(tmp_path / "net.safetensors")


def test_broken_contents_are_named(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(struct.pack("<Q", 20) + b"{ this is no JSON }  " + bytes(20))
    with pytest.raises(DataError, match="is broken: its table of contents"):
        read_checkpoint(path)


def test_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.safetensors cannot be read .*Check the path"):
        read_checkpoint(tmp_path / "none.safetensors")


def test_weights_of_another_program_are_told(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="holds tensors, but not of this program"):
        read_checkpoint(path)
    save_file({"a": torch.zeros(1)}, path, {"neuraltex": '{"version": 1, "kind": "sampler"}'})
    with pytest.raises(DataError, match=r"does not say what it holds .*layout"):
        read_checkpoint(path)


def test_a_newer_version_is_told(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"neuraltex": '{"version": 7, "created_by": "neuraltex 9.1", "new": 0}'})
    with pytest.raises(DataError, match=r"has format 7 \(by neuraltex 9.1\), this program reads up to 1.*Update"):
        read_checkpoint(path)


def test_other_kind_and_layout_are_told() -> None:
    ABOUT.require("sampler", "net.safetensors", replace(LAYOUT, name="renamed"))
    with pytest.raises(DataError, match=r"net.safetensors: it holds 'sampler', expected 'refiner'.*neuraltex train"):
        ABOUT.require("refiner", "net.safetensors")
    with pytest.raises(DataError, match=r"mesh for net.safetensors: the uv layout is other .* expected square"):
        ABOUT.require("sampler", "net.safetensors", OTHER)


def test_tensors_that_do_not_fit_are_named() -> None:
    state = net().state_dict()
    with pytest.raises(DataError, match=r"f: it does not fit the network: lacks b\.bias\. Use the settings"):
        load_weights(net(), {name: value for name, value in state.items() if name != "b.bias"}, "f")
    with pytest.raises(DataError, match=r"adds more\.0\.weight, more\.1\.weight, more\.2\.weight and 2 more"):
        load_weights(net(), net(extra=True).state_dict(), "f")
    target = net()
    with pytest.raises(DataError, match=r"has a\.bias as \(4,\), not \(3,\); has a\.weight as \(4, 2, 3, 3\)"):
        load_weights(target, net(width=4).state_dict(), "f")
    assert torch.equal(target.a.weight, net().a.weight)  # nothing was loaded


def test_failed_writing_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_checkpoint(tmp_path / "net.safetensors", net(), ABOUT)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr("neuraltex.learn.checkpoint.save_file", fail)
    with pytest.raises(RuntimeError):
        write_checkpoint(path, net(1), ABOUT)
    assert [item.name for item in tmp_path.iterdir()] == ["net.safetensors"]
    assert torch.equal(read_checkpoint(path)[1]["a.weight"], net().a.weight)


def test_average_by_hand() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    ema, expected = Ema(network, 0.25), 1.0
    for step, value in enumerate((3.0, -1.0, 5.0), 1):
        nn.init.constant_(network.weight, value)
        ema.update()
        decay = min(0.25, (1 + step) / (10 + step))  # 2/11, then 1/4
        expected = decay * expected + (1 - decay) * value
        assert ema.average["weight"].item() == pytest.approx(expected, rel=1e-6)
    assert network.weight.item() == 5


def test_average_of_constant_weights_is_exact_in_the_long_run() -> None:
    network = net()
    ema = Ema(network, 0.999)
    for _ in range(50):
        ema.update()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(ema.average[name], value)


def test_whole_numbers_are_copied() -> None:
    network = net()
    ema = Ema(network)
    network.count.fill_(8)
    ema.update()
    assert ema.average["count"].item() == 8


def test_swapping_is_undone_even_after_errors() -> None:
    network = net()
    ema, own = Ema(network, 0.5), network.a.weight.detach().clone()
    with torch.no_grad():
        network.a.weight.add_(1)
    ema.update()
    average = ema.average["a.weight"].clone()
    with pytest.raises(KeyError), ema.swapped() as swapped:
        assert swapped is network
        assert torch.equal(network.a.weight, average)
        raise KeyError
    assert torch.equal(network.a.weight, own + 1)
    assert torch.equal(ema.average["a.weight"], average)


def test_training_goes_on_with_swapped_weights_between_its_steps() -> None:
    """The optimizer's parameters stay the same objects."""
    network = nn.Linear(1, 1, bias=False)
    ema, optimizer = Ema(network), torch.optim.SGD(network.parameters(), 0.1)
    with ema.swapped():
        network(torch.ones(1, 1)).sum()
    before = network.weight.item()
    network(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    assert network.weight.item() == pytest.approx(before - 0.1)


def test_average_goes_on_after_resuming() -> None:
    network = net()
    ema = Ema(network)
    for _ in range(3):
        with torch.no_grad():
            network.a.weight.mul_(1.5)
        ema.update()
    resumed = Ema(net(7))
    resumed.load_state_dict(ema.state_dict())
    assert resumed.updates == 3
    assert torch.equal(resumed.average["a.weight"], ema.average["a.weight"])
    resumed.average["a.weight"].zero_()
    assert ema.average["a.weight"].abs().max() > 0  # a copy, not the same memory
    with pytest.raises(ResumeError, match="of another network"):
        Ema(net(width=4)).load_state_dict(ema.state_dict())


def trained(steps: int, state: TrainerState | None = None) -> TrainerState:
    """Fit random targets; everything random comes from the two generators that a state holds."""
    torch.manual_seed(0)
    network, own = nn.Linear(4, 4), torch.Generator().manual_seed(1)
    optimizer, ema = torch.optim.Adam(network.parameters(), 0.05), Ema(network, 0.9)
    if state:
        network.load_state_dict(state.networks["sampler"])
        optimizer.load_state_dict(state.optimizers["sampler"])
        ema.load_state_dict(state.averages["sampler"])
        restore_generators(state.generators, data=own)
    for _ in range(state.step if state else 0, steps):
        optimizer.zero_grad()
        (network(torch.rand(3, 4, generator=own)) - torch.rand(3, 4)).square().mean().backward()
        optimizer.step()
        ema.update()
    return TrainerState(
        step=steps,
        networks={"sampler": network.state_dict()},
        optimizers={"sampler": optimizer.state_dict()},
        averages={"sampler": ema.state_dict()},
        generators=generator_states(data=own),
        history=[{"step": 1, "train/loss": 0.5}],
        signature={"seed": 0},
        seconds=2.0,
        best={"score": 0.1, "step": 1},
    )


def test_resumed_training_is_the_same_bit_by_bit(tmp_path: Path) -> None:
    whole = trained(9)
    half = read_trainer_state(write_trainer_state(tmp_path, trained(4)))
    resumed = trained(9, half)
    for name, value in whole.networks["sampler"].items():
        assert torch.equal(resumed.networks["sampler"][name], value)
        assert torch.equal(resumed.averages["sampler"]["average"][name], whole.averages["sampler"]["average"][name])
    assert resumed.averages["sampler"]["updates"] == 9


def test_trainer_state_survives_the_disk(tmp_path: Path) -> None:
    saved = trained(2)
    for step in (2, 3, 5):
        write_trainer_state(tmp_path, replace(saved, step=step))
    assert [path.name for path in list_states(tmp_path)] == ["step-000000003.pt", "step-000000005.pt"]
    loaded = latest_trainer_state(tmp_path)
    assert loaded.step == 5
    for item in fields(TrainerState):
        if item.name in ("history", "signature", "seconds", "best"):
            assert getattr(loaded, item.name) == getattr(saved, item.name)


def test_broken_trainer_states_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match="holds no checkpoint"):
        latest_trainer_state(tmp_path)
    path = write_trainer_state(tmp_path, trained(1))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ResumeError, match="is corrupt"):
        read_trainer_state(path)
    torch.save({"version": 99}, path)
    with pytest.raises(ResumeError, match="has version 99, this program reads 1"):
        read_trainer_state(path)
