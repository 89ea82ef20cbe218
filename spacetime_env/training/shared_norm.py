"""BatchNorm whose statistics are those of all ranks, and the convolutions before it.

torch's SyncBatchNorm does the first on GPUs only. The second has to do with rounding. BatchNorm takes away what is
constant. So a weight of the convolution before it has no gradient if its input is the same everywhere, as a pixel of a
patch is that shows background in all patches. Computed, it is a sum of many numbers that cancel, and what is left is
rounding. Adam makes a step of full size of it, in a direction that differs with the number of processes or threads, or
the kind of CPU. In Pong the losses of two trainings that round differently are 1 % apart after 13 steps. A
:class:`PatchConv2d` gives such a weight exactly no gradient, and then they are less than 0.001 % apart after 20.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_input, conv2d_weight

from spacetime_env.training.shared_ranks import SharedRanks


def share_norms(network: nn.Module, ranks: SharedRanks) -> None:
    """Replace every BatchNorm2d, and a convolution of patches before it. Parameters and buffers stay."""
    for module in list(network.modules()):
        last, before = "", module
        for name, child in list(module.named_children()):
            if type(child) is nn.BatchNorm2d:
                patches = None
                if isinstance(module, nn.Sequential) and isinstance(before, nn.Conv2d) and takes_patches(before):
                    patches = PatchConv2d(before)
                    setattr(module, last, patches)
                setattr(module, name, SharedBatchNorm2d(child, ranks, patches))
            last, before = name, child


def takes_patches(convolution: nn.Conv2d) -> bool:
    """Whether a convolution takes patches that lie side by side, and has no bias."""
    plain = convolution.padding == (0, 0) and convolution.dilation == (1, 1) and convolution.groups == 1
    return plain and convolution.kernel_size == convolution.stride and convolution.bias is None


class SharedBatchNorm2d(nn.BatchNorm2d):
    """A BatchNorm whose statistics are those of the whole batch, on CPUs too.

    In evaluation mode it asks nobody. All ranks have as many frames, and equal running statistics.
    """

    def __init__(self, norm: nn.BatchNorm2d, ranks: SharedRanks, before: PatchConv2d | None) -> None:
        assert norm.affine and norm.track_running_stats and norm.momentum is not None
        super().__init__(norm.num_features, norm.eps, norm.momentum, device="meta")
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.ranks = ranks
        self.before = before.first if before is not None else None
        self.train(norm.training)

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        if not self.training:
            return super().forward(input)
        about = (self.weight, self.bias, self.eps, self.ranks, self.before)
        output, mean, variance, count = _Normalize.apply(input, *about)
        with torch.no_grad():
            assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        return output


class _Normalize(torch.autograd.Function):
    """Batch normalization (arXiv 1502.03167) over all ranks, forward and backward.

    Sums are of float64, so that they are the same however the frames are shared out.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, ranks: SharedRanks, before: FirstPatch | None
    ) -> Any:
        count, wide = x.numel() // x.shape[1] * ranks.size, x.double()
        sums = [wide.sum(dim=(0, 2, 3)), wide.square().sum(dim=(0, 2, 3))]
        if before is not None:
            sums.append(before.own)
        sums = ranks.sum(torch.cat(sums)).split([len(one) for one in sums])
        mean, square = sums[0] / count, sums[1] / count
        if before is not None:
            before.mean = sums[2] / ranks.size
        variance = (square - mean.square()).clamp_min(0).float()
        mean = mean.float()
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt())
        ctx.ranks, ctx.count = ranks, count
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps), mean, variance, count

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight, mean, inverse = ctx.saved_tensors
        gradient = gradients[0].float()
        normal = (x - _wide(mean)) * _wide(inverse)
        own = torch.stack((_sum(gradient), _sum(gradient * normal)))
        shift, scale = (ctx.ranks.sum(own.clone()) / ctx.count).float().unbind()
        inner = gradient - _wide(shift) - normal * _wide(scale)
        # Weight and bias get this rank's own sums: gradients are averaged over the ranks later.
        bias, factor = own.float().unbind()
        return (inner * _wide(weight * inverse)).to(gradients[0].dtype), factor, bias, None, None, None


class FirstPatch:
    """The first patch of a batch: what the convolution has of it, and the mean of all ranks, which BatchNorm asks for.

    Attributes:
        own: (C * h * w,) float64, of this rank's first frame.
        mean: the same over all ranks.
    """

    own: Tensor
    mean: Tensor


class PatchConv2d(nn.Conv2d):
    """A convolution of patches, before a BatchNorm, without rounding in gradients that are 0; see above."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        channels, width, kernel = convolution.in_channels, convolution.out_channels, convolution.kernel_size
        super().__init__(channels, width, kernel, kernel, bias=False, device="meta")  # type: ignore[arg-type]
        self.weight, self.first = convolution.weight, FirstPatch()
        self.train(convolution.training)

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H / h, W / w), with patches of h x w."""
        if not self.training:
            return super().forward(input)
        height, width = self.weight.shape[2:]
        self.first.own = input[0, :, :height, :width].double().flatten()
        output: Tensor = _ConvolvePatches.apply(input, self.weight, self.first)
        return output


class _ConvolvePatches(torch.autograd.Function):
    """The gradient of a weight is taken of its input less a constant, which BatchNorm makes the same number.

    The constant is the mean of the ranks' first patches: of float64, where a sum of n equal float32 is n times one of
    them. So an input that is the same in all patches of all frames leaves exact zeros.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, first: FirstPatch) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.first = first
        return torch.conv2d(x, weight, None, weight.shape[2:])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        stride, gradient = weight.shape[2:], gradients[0].to(weight.dtype)  # with mixed precision it is bfloat16
        before = conv2d_input(x.shape, weight, gradient, stride) if ctx.needs_input_grad[0] else None
        height, width = (side // patch * patch for side, patch in zip(x.shape[2:], stride, strict=True))
        constant = ctx.first.mean.to(x.dtype).view(-1, 1, stride[0], 1, stride[1])
        rest = (_patches(x, weight) - constant).reshape(*x.shape[:2], height, width)
        return before, conv2d_weight(rest.to(weight.dtype), weight.shape, gradient, stride), None


def _patches(x: Tensor, weight: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, rows, h, columns, w), patches of the size of (D, C, h, w) weights."""
    height, width = weight.shape[2:]
    rows, columns = x.shape[2] // height, x.shape[3] // width
    return x[:, :, : rows * height, : columns * width].unflatten(3, (columns, width)).unflatten(2, (rows, height))


def _sum(values: Tensor) -> Tensor:
    """(B, C, H, W) -> (C,), added up as float64."""
    return values.sum(dim=(0, 2, 3), dtype=torch.float64)


def _wide(channels: Tensor) -> Tensor:
    """(C,) -> (C, 1, 1), beside (B, C, H, W)."""
    return channels[:, None, None]
