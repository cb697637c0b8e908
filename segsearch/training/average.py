"""Moving average of a network's weights, which usually scores better than those of the last step."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """Exponential moving average of a network's parameters and BatchNorm statistics; counters are no part of it.

    At step t the average so far counts by ``min(decay, (1 + t) / (10 + t))``, so that a short training forgets its
    initial weights, too (``num_updates`` of TensorFlow's ExponentialMovingAverage).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network, self._decay = network, decay
        self.tensors = {name: t.clone() for name, t in network.state_dict().items() if t.is_floating_point()}

    def update(self, step: int) -> None:
        """Take in the weights after step 1, 2 and so on."""
        current = self._network.state_dict()
        mix = get_ema_multi_avg_fn(min(self._decay, (1 + step) / (10 + step)))  # type: ignore[no-untyped-call]
        mix(list(self.tensors.values()), [current[name] for name in self.tensors], torch.tensor(step))

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over stored ``tensors``. Raises KeyError or RuntimeError where they are another network's."""
        for name, tensor in self.tensors.items():
            tensor.copy_(tensors[name])
