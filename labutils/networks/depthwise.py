"""Depthwise convolutions that train faster on a CPU where the feature map is small.

For kernels wider than 3 torch's CPU library has no fast gradient of the weights on small maps: on a map of 4 × 4 a
5 × 5 kernel costs fifty times its forward pass. The same sum, written as a convolution of the input with the gradient
of the output, is a forward pass again. EfficientNet has such layers at its deep end, where fine-tuning happens.
"""

import torch
from torch import nn
from torch.nn import functional as F

LARGEST_MAP = 8  # side in pixels; from 10 on torch's own gradient was faster (32 and 8 pictures, one thread)
SMALLEST_KERNEL = 4  # torch's own gradient of 3 × 3 kernels is fast


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution with the same results; on small maps the gradient of its weights is computed otherwise."""

    def _conv_forward(
        self, input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        if (
            self.training
            and weight.requires_grad
            and input.device.type == "cpu"
            and max(input.shape[2:]) <= LARGEST_MAP
            and not torch.is_autocast_enabled("cpu")
        ):
            return _Convolution.apply(input, weight, self.stride, self.padding)
        return super()._conv_forward(input, weight, bias)


class _Convolution(torch.autograd.Function):
    generate_vmap_rule = True  # per-sample gradients by torch.func

    @staticmethod
    def forward(input, weight, stride, padding):
        return F.conv2d(input, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    def setup_context(context, inputs, output):
        input, weight, context.stride, context.padding = inputs
        context.save_for_backward(input, weight)

    @staticmethod
    def backward(context, gradient):
        input, weight = context.saved_tensors
        of_input = None
        if context.needs_input_grad[0]:
            how = context.stride, context.padding
            of_input = nn.grad.conv2d_input(input.shape, weight, gradient, *how, groups=len(weight))
        return of_input, weight_gradient(input, gradient, weight, context.stride, context.padding), None, None


def weight_gradient(
    input: torch.Tensor,
    gradient: torch.Tensor,
    weight: torch.Tensor,
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> torch.Tensor:
    """Gradient of the weights of a depthwise convolution: each picture's channel is convolved with its own gradient.

    Parameters
    ----------
    input : Tensor of shape (N, C, H, W)
    gradient : Tensor of shape (N, C, H', W')
        Of the output.
    weight : Tensor of shape (C, 1, k, k)
        For its shape.
    stride, padding : pairs of int
        Of the convolution; a step in its output is a step of ``stride`` in its input, hence the dilation here.
    """
    channels, (height, width) = input.shape[1], weight.shape[2:]
    planes = input.permute(2, 3, 0, 1).flatten(2).permute(2, 0, 1)[None]  # (1, N·C, H, W), channels last
    kernels = gradient.permute(2, 3, 0, 1).flatten(2).permute(2, 0, 1)[:, None]  # (N·C, 1, H', W')
    sums = F.conv2d(planes, kernels, None, 1, padding, dilation=stride, groups=planes.shape[1])
    sums = sums[0, :, :height, :width]  # a stride may leave a rim of the input unused
    return sums.unflatten(0, (-1, channels)).sum(0)[:, None]


def use_fast_depthwise(model: nn.Module) -> None:
    """Turn the depthwise convolutions of ``model`` that may gain by it into `DepthwiseConv2d`, in place."""
    for module in model.modules():
        if (
            type(module) is nn.Conv2d
            and module.groups == module.in_channels == module.out_channels > 1
            and max(module.kernel_size) >= SMALLEST_KERNEL
            and module.dilation == (1, 1)
            and module.bias is None
            and module.padding_mode == "zeros"
            and not isinstance(module.padding, str)
        ):
            module.__class__ = DepthwiseConv2d  # keeps weights, name and hooks
