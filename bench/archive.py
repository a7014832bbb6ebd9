"""A model of five million parameters as an archive: `python -m bench.archive`

What it takes beside exporting and scoring, how long it takes to be loaded, and what memory that keeps.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench._rows import row
from nas import exporters, plugins, zoo
from nas.models import archive, checkpoint, manifest
from nas.models.checkpoint import Card
from nas.networks.blocks import network
from nas.recipes import Recipe

LOADED = """
import resource, sys, time
import torch
import nas, nas.models.network
from nas import spaces
spaces.load("mbconv")
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
before, begun = resident(), time.perf_counter()
network = nas.load(sys.argv[1])
print(time.perf_counter() - begun, resident() - before)
"""


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.archive", description=__doc__).parse_args()
    entry = zoo.entry("EfficientNet-B0")
    architecture = zoo.architecture(entry.name)
    card = Card(
        space="mbconv",
        architecture=architecture,
        choices={},
        run="bench",
        number=0,
        member="B0",
        dataset="none",
        classes=tuple(f"class {number}" for number in range(architecture.images.classes)),
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        accuracy=None,
        test_accuracy=0.5,
        params=entry.params,
        mult_adds=entry.mult_adds,
        latencies={},
        recipe=Recipe(),
        seed=0,
    )
    path = checkpoint.artifact(checkpoint.save(network(architecture).eval(), card))
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "model"
        spent = 0.0
        score = manifest.FileScore(accuracy=0.5, promised=0.5, images=1, part="test")

        def exported(name: str, source: exporters.Source, folder: Path, unchecked: str | None = None) -> manifest.Way:
            nonlocal spent
            exporter, begun = exporters.load(name), time.perf_counter()
            refused = exporters.missing(name)
            try:
                if not refused:
                    exporter.export(source, folder / exporter.FILE)
            except plugins.UnknownPlugin as error:  # in 8 bits, for which there are no images
                refused = str(error)
            spent += time.perf_counter() - begun
            return manifest.Way(exporter=name, file=exporter.FILE, score=score, refused=refused)

        archive._way = exported  # its own time is left out
        begun = time.perf_counter()
        archive.build(path, whole)
        packed = whole.with_suffix(".zip")
        with open(packed, "wb") as file:
            manifest.packed(whole, "zip", file)
        seconds = time.perf_counter() - begun - spent
        words = f"an archive of {entry.params / 1e6:.1f} M parameters, beside exporting and scoring"
        row(words, seconds, "s", target="at most 2 s", holds=seconds <= 2)
        command = [sys.executable, "-c", LOADED, str(packed)]
        runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(3)]
        loaded, kept = (
            min(float(run.split()[0]) for run in runs),
            min(float(run.split()[1]) for run in runs) / path.stat().st_size,
        )
        row(
            "it is loaded from its zip, modules imported; the best of 3",
            loaded,
            "s",
            target="at most 1 s",
            holds=loaded <= 1,
        )
        row("memory that it keeps, in sizes of its weights", kept, "", target="one copy: under 2", holds=kept < 2)


if __name__ == "__main__":
    main()
