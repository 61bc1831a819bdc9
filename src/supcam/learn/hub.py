"""A trained network as Hugging Face keeps one: config.json beside model.safetensors, nothing pickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import ModelHubMixin, hf_hub_download
from jaxtyping import Float
from safetensors.torch import load, save
from torch import Tensor, nn

from supcam.core.config import CropConfig, ForegroundConfig, parse_config
from supcam.core.types import BundleError
from supcam.learn.config import NetworkConfig
from supcam.learn.encoder import Network, NetworkOutput

WEIGHTS, CONFIG = "model.safetensors", "config.json"
Table = dict[str, Any]


class HubNetwork(
    nn.Module,
    ModelHubMixin,
    library_name="supcam",
    license="mit",
    pipeline_tag="image-classification",
    tags=["chromosome", "cytogenetics", "karyotyping", "metaphase"],
):
    """The network of a model folder, with what its input is: three tables of the card.

    ``from_pretrained`` reads a local folder, or one of Hugging Face's; ``save_pretrained`` writes one.
    Weights are read from ``model.safetensors`` and from no other file. Nothing is sent anywhere unless
    ``push_to_hub`` is called. Raises ``ConfigError`` for unknown keys.
    """

    def __init__(self, *, network: Table, crop: Table | None = None, foreground: Table | None = None) -> None:
        super().__init__()
        self.crop = parse_config(CropConfig, crop or {}, where=CONFIG)
        self.foreground = parse_config(ForegroundConfig, foreground or {}, where=CONFIG)
        self.network = Network(parse_config(NetworkConfig, network, where=CONFIG))

    def forward(self, picture: Float[Tensor, "batch 1 height width"]) -> NetworkOutput:
        """All outputs for network inputs of ``Model.prepare``."""
        output: NetworkOutput = self.network(picture)
        return output

    def weights(self) -> bytes:
        """The content of ``model.safetensors``."""
        return save({name: value.contiguous() for name, value in self.network.state_dict().items()})

    def load_weights(self, content: bytes, *, where: Path | str) -> None:
        """The weights in ``content`` are the network's now. Raises ``BundleError`` for another network's."""
        try:
            self.network.load_state_dict(load(content))
        except Exception as error:  # a damaged header raises many kinds
            raise BundleError(
                f"weights of another network ({str(error).splitlines()[0]})",
                expected=f"those of the network in {CONFIG}",
                remedy="fetch the folder again",
                where=where,
            ) from error

    def _save_pretrained(self, save_directory: Path) -> None:
        (save_directory / WEIGHTS).write_bytes(self.weights())

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **given: Any) -> HubNetwork:  # noqa: ANN401  the library's
        """The network in the folder or repository ``model_id``, at rest. Raises ``BundleError``."""
        place = {name: given.pop(name, None) for name in ("revision", "cache_dir", "force_download", "token")}
        local_only = given.pop("local_files_only", False)
        folder = Path(model_id)
        path = folder / WEIGHTS
        if not folder.is_dir():
            path = Path(hf_hub_download(model_id, WEIGHTS, local_files_only=local_only, **place))
        if not path.is_file() or "network" not in given:
            missing = CONFIG if path.is_file() else WEIGHTS
            raise BundleError(
                f"no {missing}, or one that names no network",
                expected=f"{CONFIG} and {WEIGHTS}",
                remedy="write the folder with supcam export --format safetensors",
                where=model_id,
            )
        hub = cls(**given)
        hub.load_weights(path.read_bytes(), where=path)
        return hub.eval().requires_grad_(False)


def hub_network(network: Network, *, tables: dict[str, Table]) -> HubNetwork:
    """``network`` with the ``tables`` of ``HubNetwork`` that say what it is and what it sees."""
    hub = HubNetwork(**tables)
    hub.network.load_state_dict(network.state_dict())
    return hub.eval().requires_grad_(False)
