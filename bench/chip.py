"""Networks of 8 bits beside themselves in single precision: `python -m bench.chip [--only demo mbconv] [--epochs 2]`

Trained on Fashion-MNIST, calibrated on training images and scored by ONNX Runtime on the test images, by which nothing
was chosen. `demo`: dense B0 to B3, such as the demo grows. `mbconv`: inverted bottlenecks, plain and with swish and
gates, where 8 bits may be no gain: the faster of the two is what to take, where they are as accurate. Latencies are
taken in turns, and the best of each counts, because whatever else a machine does can only slow it down.

`searches`: a small space with swish and gates as knobs, all of whose networks are trained; their fronts in both
precisions, and what searches find that know 8 bits or do not. `tiny`: CIFAR-10 within the memory that MLPerf Tiny's
ResNet-8 has, search and training in 600 s of 2 cores; it wants `--images FOLDER`.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nas.classify
from bench._chip_searches import WHOLE_SECONDS, searches, tiny
from bench._rows import row
from bench.demo import TYPICAL
from nas import devices, exporters
from nas.evaluate import evaluate
from nas.measurements import Latency
from nas.metering.host import processor
from nas.models import checkpoint
from nas.models.score import score
from nas.networks.architecture import Architecture, Stage
from nas.networks.members import member
from nas.recipes import RECIPES
from nas.records import Job

ROWS = ("demo", "mbconv", "searches", "tiny")
MEMBERS = ("B0", "B1", "B2", "B3")
TURNS = 5  # of latency measurements
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")  # that speed up 8 bits
MOST_DROP, SMALLER, FASTER = 0.003, 3.5, 1.3
MBCONV = replace(
    TYPICAL,
    stages=tuple(
        Stage(op="mbconv", kernel=3, stride=stride, expand=3, channels=channels, repeats=2)
        for stride, channels in ((1, 24), (2, 40), (2, 80))
    ),
)
GATED = replace(
    MBCONV, activation="swish", stages=tuple(replace(stage, se_ratio=0.25) for stage in MBCONV.stages)
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Form:
    """A network in one precision."""

    accuracy: float
    bytes: int
    latency: Latency


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.chip", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=ROWS, default=ROWS[:3])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--train-images", type=int, help="of the 60,000; all by default")
    parser.add_argument("--members", nargs="+", choices=MEMBERS, default=MEMBERS, help="of the family in `demo`")
    parser.add_argument("--images", type=Path, help="the folder of CIFAR-10, with train and test")
    parser.add_argument("--seconds", type=float, default=WHOLE_SECONDS, help="of one processor, for `tiny`")
    options = parser.parse_args()
    if "tiny" in options.only and not options.images:
        parser.error("--only tiny needs --images FOLDER")
    demos = demo(options.members) if "demo" in options.only else ()
    networks = [*demos, *(mbconv() if "mbconv" in options.only else ())]
    for number, (name, architecture) in enumerate(networks):
        single, rounded = forms(architecture, number, options.epochs, options.train_images)
        told(name, single, rounded, dense=architecture.stages[0].op == "conv")
    if "searches" in options.only:
        searches(options.epochs, options.train_images)
    if "tiny" in options.only:
        tiny(options.images, options.seconds)


def demo(members: Sequence[str]) -> Iterator[tuple[str, Architecture]]:
    for name in members:
        yield f"dense {name}", member(TYPICAL, name)


def mbconv() -> Iterator[tuple[str, Architecture]]:
    for words, architecture in (("MBConv", MBCONV), ("MBConv with swish and gates", GATED)):
        for name in MEMBERS[:2]:
            yield f"{words} {name}", member(architecture, name)


def forms(architecture: Architecture, number: int, epochs: int, train_images: int | None) -> tuple[Form, Form]:
    """A network that is trained now: in single precision, and in 8 bits."""
    job = Job(
        run="chip",
        number=number,
        space="mbconv",
        architecture=architecture,
        dataset="fashion_mnist",
        devices=("cpu",),
        recipe=replace(RECIPES["dense"], epochs=epochs, train_images=train_images),
        final=True,
        save_weights=True,
    )
    path = checkpoint.artifact(evaluate(job).weights or "")
    network, card = checkpoint.load(path)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shutil.copyfile(nas.classify.__file__, folder / "classify.py")
        shutil.copyfile(path, folder / "model.safetensors")
        source = exporters.Source(checkpoint=path, network=network, card=card)
        scored, names = [], []
        for name in ("onnx", "int8"):
            exporter = exporters.load(name)
            file = folder / exporter.FILE
            names.append(exporter.export(source, file) or "")
            accuracy = score(file).accuracy
            assert accuracy is not None, "its images are always the same"
            scored.append((accuracy, file.stat().st_size))
    taken: list[list[Latency]] = [[], []]
    for _ in range(TURNS):
        for device, latencies in zip(names, taken):
            meter, options = devices.find(device)
            latencies.append(meter.latency(network, architecture.images, options))
    single, rounded = (
        Form(accuracy=accuracy, bytes=size, latency=min(latencies, key=lambda each: each.median_ms))
        for (accuracy, size), latencies in zip(scored, taken)
    )
    return single, rounded


def told(name: str, single: Form, rounded: Form, *, dense: bool) -> None:
    how, peer = f"{name}, 8 bits ({rounded.latency.device.partition('dtype=')[2]})", "single precision"
    drop, smaller = single.accuracy - rounded.accuracy, single.bytes / rounded.bytes
    faster = single.latency.median_ms / rounded.latency.median_ms
    row(
        f"{how}: test accuracy",
        rounded.accuracy,
        "",
        peer=peer,
        peer_value=single.accuracy,
        target="at most 0.3 points less" if dense else None,
        holds=drop <= MOST_DROP if dense else None,
    )
    row(
        f"{how}: size",
        rounded.bytes / 1e3,
        "kB",
        peer=peer,
        peer_value=single.bytes / 1e3,
        ratio=smaller,
        target=f"at least {SMALLER} times as small" if dense else None,
        holds=smaller >= SMALLER if dense else None,
    )
    row(
        f"{how}: latency on {machine()}",
        rounded.latency.median_ms,
        "ms",
        peer=peer,
        peer_value=single.latency.median_ms,
        ratio=faster,
        target=f"at least {FASTER} times as fast" if dense else None,
        holds=faster >= FASTER if dense else None,
    )
    if not dense:
        best = rounded if drop <= MOST_DROP and faster > 1 else single
        taken = "8 bits" if best is rounded else peer
        row(f"{name}: to take, the faster of equal accuracy: {taken}", best.latency.median_ms, "ms")


def machine() -> str:
    """The processor, and which of the instructions it has that 8 bits gain by."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        flags = []
    return f"{processor()} ({', '.join(name for name in INSTRUCTIONS if name in flags) or 'none of those for 8 bits'})"


if __name__ == "__main__":
    main()
