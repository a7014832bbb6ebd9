"""What a search knows of latencies before it measures any: learnt from all that was measured before it began."""

import contextlib

from nas import devices
from nas.latency_predictor import LEAST_BORROWING, Predictor, learnt
from nas.records import Run
from nas.specs import SearchSpec
from nas.store import Store

ENOUGH = 100  # networks measured on a device, with which it needs no others


def prediction(store: Store, run: Run) -> Predictor | None:
    """A predictor of latencies on the run's first device, the same one however often the run is taken up again; None
    where the run needs none, or what was measured is too little or tells too little. An event of the run says which."""
    spec = run.spec
    if not isinstance(spec, SearchSpec) or not spec.predict_within or run.started_at is None:
        return None
    if "latency_ms" not in spec.objective.costs and spec.limits.latency_ms is None:
        return None
    predictor, why, device = None, "", spec.devices[0]
    try:
        predictor = _learnt(store, devices.canonical(device), run.started_at)
    except ValueError as error:
        why = str(error)
    if predictor and predictor.error > spec.predict_within:
        why = (
            f"what {predictor.networks} networks tell is {predictor.error:.1%} off, more than {spec.predict_within:.0%}"
        )
    if not store.trials(run.id, limit=1):  # the first time
        store.note(run.id, "prediction", _told(device, predictor, why))
    return None if why else predictor


def _learnt(store: Store, device: str, before: float) -> Predictor:
    """From what was measured on the device; where that is little, from what was measured on others as well."""
    own, others = store.measured(device, before), list[Predictor]()
    if LEAST_BORROWING <= len(own) < ENOUGH:
        for elsewhere in store.measured_elsewhere(device, before).values():
            with contextlib.suppress(ValueError):  # too little is known there
                others.append(learnt(elsewhere))
    return learnt(own, others)


def _told(device: str, predictor: Predictor | None, why: str) -> str:
    if why or predictor is None:
        return f"latency on {device} is not predicted: {why}"
    borrowed = " and what they take elsewhere" if predictor.borrowed else ""
    rank = "" if predictor.rank is None else f", their rank correlation is {predictor.rank:.3f}"
    return (
        f"latency on {device} is predicted before it is measured, learnt from {predictor.networks} networks{borrowed}: "
        f"{predictor.error:.1%} off on average{rank}"
    )
