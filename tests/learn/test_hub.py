"""Networks in Hugging Face's form, from local folders, with the network of this machine switched off."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from supcam.core.types import BundleError, ConfigError
from supcam.learn.config import NetworkConfig
from supcam.learn.encoder import Network
from supcam.learn.hub import CONFIG, WEIGHTS, HubNetwork, hub_network

TABLE: dict[str, Any] = {"backbone": "resnet10t", "channels": [8, 8, 8, 8], "max_count": 5}
CROP: dict[str, Any] = {"size_px": 32, "width_px": 4.0}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("nothing may be asked of the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("hub") / "tiny"
    network = Network(NetworkConfig.model_validate(TABLE), seed=4)
    hub_network(network, tables={"network": TABLE, "crop": CROP, "foreground": {}}).save_pretrained(place)
    return place


def test_a_network_comes_back_from_its_folder(folder: Path) -> None:
    network = Network(NetworkConfig.model_validate(TABLE), seed=4).eval()
    hub = HubNetwork.from_pretrained(folder)
    picture = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for name, one, other in zip(
        ("type", "count", "chromosome"), hub(picture), network(picture), strict=False
    ):
        assert torch.equal(one, other), name
    assert not hub.training
    assert not any(parameter.requires_grad for parameter in hub.parameters())
    assert hub.crop.size_px == 32


def test_the_folder_is_configuration_weights_and_a_page(folder: Path, tmp_path: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {CONFIG, WEIGHTS, "README.md"}
    config = json.loads((folder / CONFIG).read_text())
    assert config == {"network": TABLE, "crop": CROP, "foreground": {}}
    assert (
        load_file(folder / WEIGHTS).keys() == Network(NetworkConfig.model_validate(TABLE)).state_dict().keys()
    )
    HubNetwork.from_pretrained(folder).save_pretrained(tmp_path / "again")
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()


def test_pickled_weights_are_never_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_bytes((folder / CONFIG).read_bytes())
    torch.save(load_file(folder / WEIGHTS), tmp_path / "pytorch_model.bin")
    with pytest.raises(BundleError, match=f"no {WEIGHTS}"):
        HubNetwork.from_pretrained(tmp_path)


def test_what_does_not_fit_is_refused(folder: Path, tmp_path: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(BundleError, match=f"no {CONFIG}"):
        HubNetwork.from_pretrained(tmp_path)
    (tmp_path / CONFIG).write_text(json.dumps({"network": TABLE | {"max_count": 7}}))
    with pytest.raises(BundleError, match="weights of another network"):
        HubNetwork.from_pretrained(tmp_path)
    (tmp_path / CONFIG).write_bytes((folder / CONFIG).read_bytes())
    (tmp_path / WEIGHTS).write_bytes(content[:100])
    with pytest.raises(BundleError, match="weights of another network"):
        HubNetwork.from_pretrained(tmp_path)
    (tmp_path / CONFIG).write_text(json.dumps({"network": TABLE | {"hidden": 7}}))
    with pytest.raises(ConfigError, match="hidden"):
        HubNetwork.from_pretrained(tmp_path)
