"""The one builder: spec -> network, for named and sampled points alike."""

from torch import nn

from segsearch.models.auxiliary import Auxiliary
from segsearch.models.network import Network
from segsearch.models.ops import ConvNorm
from segsearch.spec.network import NetworkSpec


def build(spec: NetworkSpec, classes: int = 19, auxiliary: Auxiliary = "none") -> Network:
    """Build a network with fresh weights, in train mode. Weights follow torch's global random state.

    Convolutions with BatchNorm are initialised as in He et al. 2015; classifiers and flows keep torch's default.
    """
    network = Network(spec, classes, auxiliary)
    for module in network.modules():
        if isinstance(module, ConvNorm):
            nn.init.kaiming_normal_(module.conv.weight, mode="fan_out", nonlinearity="relu")
    return network
