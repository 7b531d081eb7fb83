"""A frozen network run by onnxruntime: a fixed function needs no layer-by-layer interpreter."""

import io
import warnings
from collections.abc import Callable
from unittest.mock import patch

import torch
from torch import nn

TOLERANCE = 1e-4  # largest difference allowed, relative to the largest output; 1e-6 to 3e-6 were measured
PIXELS_PER_PASS = 2**17  # so that intermediate results stay in the processor's cache


class InferenceEngine:
    """Answers as ``network`` does within `TOLERANCE`, faster: BatchNorm is folded, activations are fused, layouts chosen.

    It holds a copy of the weights as they are now; ``network`` itself is only read. With forward hooks on any module,
    which a graph would pass by, the network answers itself.

    Parameters
    ----------
    network : Module
        In evaluation mode on the CPU, float32; takes one tensor of pictures and gives one tensor.
    example : Tensor of shape (2, channels, height, width)
        Later inputs may differ in their number only.

    Raises
    ------
    Exception
        Of any kind, where an operation has no counterpart in ONNX or the file format's 2 GB are exceeded.
    """

    def __init__(self, network: nn.Module, example: torch.Tensor):
        import onnxruntime

        self.network = network
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4
        # Threads that wait for the next batch must not take the cores from torch, which prepares it.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self._session = onnxruntime.InferenceSession(
            _graph(network, example), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        if _has_hooks(self.network):
            return self.network(images)
        size = max(4, PIXELS_PER_PASS // images[0, 0].numel())
        parts = [
            torch.from_numpy(self._session.run(None, {"images": part.contiguous().numpy()})[0])
            for part in images.split(size)
        ]
        features = torch.cat(parts)
        if features.ndim == 4 and images.is_contiguous(memory_format=torch.channels_last):
            return features.contiguous(memory_format=torch.channels_last)  # as the network would
        return features


def fastest(network: nn.Module, example: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """An `InferenceEngine` of ``network`` where one can be had and gives the same numbers, else ``network`` itself.

    Parameters
    ----------
    network : Module
        In evaluation mode.
    example : Tensor of shape (3, channels, height, width)
        Pictures on which the two are compared.
    """
    dtypes = {tensor.dtype for tensor in (example, *network.parameters())}
    in_training = any(module.training for module in network.modules())
    if example.device.type != "cpu" or dtypes != {torch.float32} or in_training or _has_hooks(network):
        return network
    try:
        with torch.no_grad():
            engine, expected = InferenceEngine(network, example[:2]), network(example)
            # In two parts: where pictures of a batch see one another, parts of a batch would be wrong.
            found = torch.cat([engine(example[:1]), engine(example[1:])])
            gap = (found - expected).abs().max() / expected.abs().max()
    except Exception:  # whatever an exporter cannot do, the network itself can
        return network
    return engine if gap <= TOLERANCE else network  # NaN is no agreement


def _graph(network: nn.Module, example: torch.Tensor) -> bytes:
    """The network as an ONNX graph for any number of pictures.

    By torch's older exporter: it takes 0.2 s for EfficientNet-Lite0, where the newer one, which `labutils.deploy`
    uses for graphs that last, takes several seconds.
    """
    file, fast_attention = io.BytesIO(), torch.backends.mha.get_fastpath_enabled()
    with (
        warnings.catch_warnings(),
        # torch 2.15 looks at this function instead of calling it, and so prints the graph when an export fails.
        patch.object(torch._C, "_jit_is_onnx_log_enabled", None),
    ):
        warnings.simplefilter("ignore")
        torch.backends.mha.set_fastpath_enabled(False)  # a fused operation that ONNX lacks
        try:
            torch.onnx.export(
                network,
                (example,),
                file,
                input_names=["images"],
                output_names=["features"],
                dynamic_axes={"images": {0: "pictures"}, "features": {0: "pictures"}},
                do_constant_folding=False,  # onnxruntime does it
                dynamo=False,
            )
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_attention)
    return file.getvalue()


def _has_hooks(network: nn.Module) -> bool:
    return any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
