"""The zoo against the literature, and against the networks built from it."""

import pytest
import torch

from nas import zoo
from nas.networks.blocks import network
from nas.networks.counts import counts
from tests.test_architecture import mult_adds

# Known by their published numbers alone; docs/published-networks.md says why.
POINTS = {
    "DPN-131",
    "FBNet-C",
    "Inception-v2 (Szegedy 2015, 299)",
    "MixNet-M",
    "MnasNet-A2",
    "MnasNet-A3",
    "NAS v3 max pooling (Zoph & Le 2016)",
    "PNASNet-5 Large",
    "PVANET (ShuffleNet authors impl.)",
    "PolyNet",
    "Shake-Shake 26 2x96d + cutout (CIFAR)",
}
EXACT = [name for name in zoo.makers() if zoo.published()[name].exact_params]


def test_every_published_network_is_built_or_known_to_be_a_point() -> None:
    assert set(zoo.published()) - set(zoo.makers()) == POINTS
    assert set(zoo.makers()) <= set(zoo.published())
    assert len(EXACT) >= 90


@pytest.mark.parametrize("name", EXACT)
def test_the_exact_counts_hold_to_the_digit(name: str) -> None:
    entry, published = zoo.entry(name), zoo.published()[name]
    assert entry.params == published.exact_params
    if published.exact_mult_adds is not None:
        assert entry.mult_adds == published.exact_mult_adds
    assert entry.exact


@pytest.mark.parametrize("name", sorted(set(zoo.makers()) - set(EXACT)))
def test_where_nothing_exact_is_known_the_published_parameters_are_met(name: str) -> None:
    """Published figures are rounded to two digits."""
    entry, published = zoo.entry(name), zoo.published()[name]
    assert published.params is not None
    assert entry.params == pytest.approx(published.params, rel=0.02)
    assert entry.exact is None


@pytest.mark.parametrize("name", zoo.makers())
def test_counts_equal_those_of_the_built_network(name: str) -> None:
    published = zoo.architecture(name)
    with torch.device("meta"):
        built = network(published)
    counted = counts(published)
    assert counted.params == sum(tensor.numel() for tensor in built.parameters())
    assert counted.mult_adds == mult_adds(built, published.images)
    norms = [module for module in built.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert counted.statistics == sum(2 * norm.num_features for norm in norms)
