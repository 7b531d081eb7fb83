"""A trained network for use elsewhere: with its normalisation and temperature inside, as safetensors and as ONNX."""

import json
import logging
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from labutils.data import Domain
from labutils.networks.backbones import build_feature_extractor
from labutils.networks.groups import LayerGroups, count_outputs, inference
from labutils.runtime.files import whole_file

FORMAT = "transfer-learning-lab 1"


class Packed(nn.Module):
    """Pictures as bytes in, probabilities out: whoever uses it has nothing to prepare and nothing to forget.

    Parameters
    ----------
    model : LayerGroups
    classes : sequence of str
        Names of its outputs.
    image_size : int
        Side in pixels of the pictures that it was trained on.
    channels : {1, 3}, default 3
        Of those pictures: grey or colour.
    temperature : float, default 1
        From `fit_temperature`.
    """

    def __init__(
        self,
        model: LayerGroups,
        classes: Sequence[str],
        image_size: int,
        channels: int = 3,
        temperature: float = 1.0,
    ):
        super().__init__()
        if len(classes) != (outputs := count_outputs(model, image_size)):
            raise ValueError(f"{len(classes)} names for {outputs} outputs: {', '.join(classes)}")
        if not temperature > 0:
            raise ValueError(f"temperature={temperature} is out of range: use a number above 0")
        # The memory order decides how convolutions add up: with the same one, reloaded weights answer to the last bit.
        self.model, self.classes = model.to(memory_format=torch.channels_last), tuple(classes)
        self.image_size, self.channels, self.temperature = int(image_size), int(channels), float(temperature)

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities, shape (N, classes), of uint8 pictures, shape (N, channels, S, S)."""
        pixels = self.model.normalise(images.float() / 255).contiguous(memory_format=torch.channels_last)
        return (self.model(pixels) / self.temperature).softmax(1)

    def predict(self, images: Tensor, batch_size: int = 32) -> Tensor:
        """The same in evaluation mode, in parts, on the CPU."""
        device = next(self.parameters()).device
        with inference(self):
            return torch.cat([self(part.to(device)).cpu() for part in images.split(batch_size)])


def save_weights(packed: Packed, path: str | Path) -> Path:
    """Write all tensors as safetensors, with what `load_weights` needs to know in the file's metadata.

    Unlike a pickle such as ``torch.save`` writes, the file holds numbers only: reading a stranger's runs no code.
    """
    from safetensors.torch import save_file

    model = packed.model
    told = {
        "backbone": model.backbone,
        "classes": list(packed.classes),
        "image_size": packed.image_size,
        "channels": packed.channels,
        "temperature": packed.temperature,
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with whole_file(path) as temporary:
        save_file(tensors, temporary, {"format": FORMAT, "network": json.dumps(told)})
    return Path(path)


def load_weights(path: str | Path) -> Packed:
    """The network that `save_weights` wrote, in evaluation mode, all groups frozen.

    Raises
    ------
    ValueError
        The file is another's, or not whole.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise ValueError(f"{path} was not written by save_weights")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a whole safetensors file ({error}): export the network again"
        ) from error
    told = json.loads(metadata["network"])
    model = build_feature_extractor(told["backbone"], len(told["classes"]), pretrained=False)
    model.load_state_dict(tensors)
    model.stored_statistics = True  # they belong to these weights
    packed = Packed(model, told["classes"], told["image_size"], told["channels"], told["temperature"])
    return packed.requires_grad_(False).eval()


def to_onnx(packed: Packed, path: str | Path) -> Path:
    """Write the network as an ONNX graph, which runs without PyTorch and without Python.

    Parameters
    ----------
    path : path
        A single file, weights included.

    Returns
    -------
    Path
        The graph takes ``images``, uint8 of shape (N, channels, S, S) for any N, and gives ``probabilities``.
    """
    device = next(packed.parameters()).device
    side = packed.image_size
    example = torch.zeros(2, packed.channels, side, side, dtype=torch.uint8, device=device)
    with inference(packed), _quiet():
        graph = torch.onnx.export(
            packed,
            (example,),
            input_names=["images"],
            output_names=["probabilities"],
            dynamic_shapes=({0: torch.export.Dim("pictures")},),
            dynamo=True,
            verbose=False,
        )
    graph.model.metadata_props["classes"] = json.dumps(packed.classes)
    with whole_file(path) as temporary:
        graph.save(temporary, external_data=False)
    return Path(path)


def run_onnx(path: str | Path, images: Tensor, batch_size: int = 32) -> Tensor:
    """Probabilities that onnxruntime computes for uint8 pictures, shape (N, channels, S, S), on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    parts = [session.run(None, {"images": part.numpy()})[0] for part in images.split(batch_size)]
    return torch.cat([torch.from_numpy(part) for part in parts])


def largest_gap(one: Tensor, other: Tensor) -> float:
    """Largest difference between two tables of probabilities, and so between two ways of computing them."""
    return float((one.double() - other.double()).abs().max())


def pack(model: LayerGroups, domain: Domain, temperature: float = 1.0) -> Packed:
    """`Packed` with what it needs to know of the pictures that the model was trained on."""
    return Packed(model, domain.classes, domain.image_size, domain.channels, temperature)


@contextmanager
def _quiet():
    """The exporter tells its steps, and warns of what concerns its own authors."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
