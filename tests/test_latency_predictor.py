"""Latency predicted from measured networks, against networks whose true cost is known."""

import dataclasses
import random
from collections.abc import Callable

import pytest

from nas import latency_predictor, spaces, zoo
from nas.measurements import Latency
from nas.networks.architecture import Images, random_choices
from nas.networks.lowering import AnyArchitecture

IMAGES = Images(resolution=28, channels=1, classes=10)


def networks(number: int, seed: int = 0) -> list[AnyArchitecture]:
    space, draw = spaces.load("mbconv"), random.Random(seed)
    knobs = space.knobs(IMAGES)
    return [space.architecture(random_choices(knobs, draw), IMAGES) for _ in range(number)]


def cost(architecture: AnyArchitecture) -> float:
    """A device that takes so long for everything a network does, each kind at a speed of its own."""
    speeds = {"multiply-adds": 1e-8, "padded multiply-adds": 1e-8, "values": 1e-7, "layers": 3e-3}
    return 0.01 + sum(
        value * speeds[name.rpartition(", ")[2]] * (4 if name.startswith("depthwise") else 1)
        for name, value in latency_predictor.features(architecture).items()
        if ", " in name
    )


def test_learns_a_device_and_knows_how_well() -> None:
    predicted = latency_predictor.predictor([(network, cost(network)) for network in networks(150)])
    unseen = networks(30, seed=1)
    errors = [abs(predicted(network) / cost(network) - 1) for network in unseen]
    assert sum(errors) / len(errors) < 0.02
    assert predicted.error < 0.02
    assert predicted.rank is not None
    assert predicted.rank > 0.995
    assert predicted.networks == 150


def test_noise_is_owned_up_to() -> None:
    draw = random.Random(0)
    noisy = [(network, cost(network) * draw.choice((0.7, 1.3))) for network in networks(100)]
    predicted = latency_predictor.predictor(noisy)
    assert 0.2 < predicted.error < 0.5, "each is 30 % off what the others tell"
    assert predicted.rank is not None
    assert predicted.rank < 0.999


def test_a_few_measurements_on_a_busy_host_pull_little() -> None:
    measured = [(network, cost(network) * (1 if number % 8 else 1.6)) for number, network in enumerate(networks(150))]
    predicted = latency_predictor.predictor(measured)
    errors = [abs(predicted(network) / cost(network) - 1) for network in networks(30, seed=1)]
    assert sum(errors) / len(errors) < 0.02
    assert predicted.error > 0.04, "it does not foresee them"


def test_equal_measurements_give_equal_predictors() -> None:
    measured = [(network, cost(network)) for network in networks(40)]
    assert latency_predictor.predictor(measured) == latency_predictor.predictor(list(measured))


def elsewhere(architecture: AnyArchitecture) -> float:
    """A device that is slower, and has less trouble with depthwise convolutions."""
    return 5 * sum(
        value * (2e-8 if name.endswith("multiply-adds") else 5e-8)
        for name, value in latency_predictor.features(architecture).items()
        if name.endswith(("multiply-adds", "values"))
    )


def off(predicted: latency_predictor.Predictor) -> float:
    unseen = networks(30, seed=1)
    return sum(abs(predicted(network) / cost(network) - 1) for network in unseen) / len(unseen)


def test_ten_measurements_are_enough_where_another_device_is_known() -> None:
    other = latency_predictor.predictor([(network, elsewhere(network)) for network in networks(150, seed=2)])
    few = [(network, cost(network)) for network in networks(10)]
    predicted = latency_predictor.predictor(few, others=[other])
    assert predicted.networks == 10
    assert off(predicted) < 0.1
    assert predicted.error == pytest.approx(off(predicted), abs=0.1), "and it knows how far it is off"
    with pytest.raises(ValueError, match=r"9 measured networks are too few to learn latency from: give 10 or more$"):
        latency_predictor.predictor(few[:9], others=[other])
    twenty = [(network, cost(network)) for network in networks(20)]
    borrowing, alone = latency_predictor.predictor(twenty, others=[other]), latency_predictor.predictor(twenty)
    assert off(borrowing) < off(alone)
    assert [borrowing.borrowed, alone.borrowed] == [True, False]


def test_a_device_that_tells_nothing_costs_nothing() -> None:
    draw = random.Random(0)
    other = latency_predictor.predictor([(network, draw.uniform(1, 9)) for network in networks(40, seed=2)])
    measured = [(network, cost(network)) for network in networks(60)]
    predicted = latency_predictor.predictor(measured, others=[other])
    assert predicted.error <= latency_predictor.predictor(measured).error
    assert off(predicted) < 0.02


def test_no_prediction_is_below_what_could_be() -> None:
    measured = [(network, cost(network)) for network in networks(40)]
    tiny = zoo.architecture("LeNet-5")
    assert latency_predictor.predictor(measured)(tiny) >= min(milliseconds for _, milliseconds in measured) / 2


@pytest.mark.parametrize(
    "name", ["NASNet-A (6 @ 768) CIFAR + cutout", "ShuffleNet v1 1x (g=3)", "GoogLeNet (Inception v1)"]
)
def test_features_know_every_kind_of_network(name: str) -> None:
    found = latency_predictor.features(zoo.architecture(name))
    assert found["network"] == 1
    assert all(value > 0 for value in found.values())
    larger = latency_predictor.features(zoo.architecture(name, Images(resolution=256, channels=3, classes=1000)))
    if name.startswith("NASNet"):
        assert larger["concat, layers"] == found["concat, layers"] > 10
    assert sum(value for key, value in larger.items() if key.endswith("multiply-adds")) > sum(
        value for key, value in found.items() if key.endswith("multiply-adds")
    )


def test_too_few_and_impossible_measurements_are_refused() -> None:
    measured = [(network, cost(network)) for network in networks(25)]
    few = "19 measured networks are too few to learn latency from: give 20 or more, or 10 where other devices are known"
    with pytest.raises(ValueError, match=few):
        latency_predictor.predictor(measured[:19])
    with pytest.raises(ValueError, match=r"latency 0\.0 ms of network [0-9a-f]{12} is not a positive number"):
        latency_predictor.predictor([*measured, (measured[0][0], 0.0)])
    with pytest.raises(ValueError, match="latency nan ms"):
        latency_predictor.predictor([*measured, (measured[0][0], float("nan"))])


def test_what_was_taken_elsewhere_is_not_learnt_from() -> None:
    """On a machine ten times as slow, and once by mischance."""
    here, there = latency_of(1.0, processor="new"), latency_of(10.0, processor="old")
    several = networks(30)
    taken = [(network, here(cost(network))) for network in several]
    mischance = (several[0], here(5 * cost(several[0])))
    newest_first = [
        *taken,
        *taken[:1],
        mischance,
        *((network, there(cost(network))) for network in networks(60, seed=2)),
    ]
    found = latency_predictor.learnt(newest_first)
    assert found.networks == 30
    assert found.fingerprint == {"processor": "new"}
    assert found.weights == latency_predictor.predictor([(network, cost(network)) for network in several]).weights
    with pytest.raises(ValueError, match="0 measured networks are too few"):
        latency_predictor.learnt([])


def test_what_is_not_well_known_teaches_little() -> None:
    """A busy host makes every second network half as slow again, and the meter knows of it."""
    here = latency_of(1.0, processor="new")
    several = networks(100)
    rough = [dataclasses.replace(here(1.5 * cost(network)), error_ms=0.5 * cost(network)) for network in several]
    taken = [(network, rough[number] if number % 2 else here(cost(network))) for number, network in enumerate(several)]
    unseen = networks(20, seed=9)

    def astray(found: latency_predictor.Predictor) -> float:
        return max(abs(found(network) / cost(network) - 1) for network in unseen)

    believed = [(network, latency.median_ms) for network, latency in taken]
    assert astray(latency_predictor.learnt(taken)) < 0.05 < 0.15 < astray(latency_predictor.predictor(believed))
    again = [*taken, *((network, here(cost(network))) for network in several[1::2])]
    assert latency_predictor.learnt(again).networks == 100
    assert astray(latency_predictor.learnt(again)) < 0.01, "of two measurements of one network the better one counts"


def latency_of(factor: float, **fingerprint: str) -> Callable[[float], Latency]:
    def made(milliseconds: float) -> Latency:
        return Latency(
            device="cpu",
            median_ms=factor * milliseconds,
            p95_ms=1.0,
            minimum_ms=1.0,
            error_ms=0.0,
            spread=0.01,
            runs=9,
            fingerprint=fingerprint,
        )

    return made
