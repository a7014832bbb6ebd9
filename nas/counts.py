"""Parameters, multiply-adds and activations of an architecture, by arithmetic on its rows."""

from dataclasses import dataclass

from nas.architecture import Architecture, Stage


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a network's stage table; `activations` are the values that its convolutions write."""

    name: str
    resolution: int
    channels: int
    repeats: int
    params: int
    mult_adds: int
    activations: int


@dataclass(frozen=True, kw_only=True)
class Counts:
    """A network's size. `mult_adds` count convolutions and linear layers, squeeze-and-excitation included, for one
    image; the papers call the same number FLOPs."""

    params: int
    mult_adds: int
    activations: int
    rows: tuple[Row, ...]


class _Tally:
    """Adds up the convolutions of one row at the feature map they run on."""

    def __init__(self) -> None:
        self.params = self.mult_adds = self.activations = 0

    def convolution(self, entering: int, leaving: int, kernel: int, size: int, *, groups: int = 1) -> None:
        weights = entering // groups * leaving * kernel * kernel
        self.params += weights + 2 * leaving  # a normalisation follows every convolution
        self.mult_adds += weights * size * size
        self.activations += leaving * size * size

    def squeeze_excitation(self, channels: int, squeezed: int) -> None:
        self.params += 2 * channels * squeezed + channels + squeezed  # both layers are biased
        self.mult_adds += 2 * channels * squeezed
        self.activations += channels + squeezed

    def linear(self, entering: int, leaving: int) -> None:
        self.params += entering * leaving + leaving
        self.mult_adds += entering * leaving
        self.activations += leaving

    def row(self, name: str, resolution: int, channels: int, repeats: int = 1) -> Row:
        return Row(
            name=name,
            resolution=resolution,
            channels=channels,
            repeats=repeats,
            params=self.params,
            mult_adds=self.mult_adds,
            activations=self.activations,
        )


def counts(architecture: Architecture) -> Counts:
    """Sizes of the network that `architecture` describes, equal to those of the network built from it."""
    images = architecture.images
    size = _after(images.resolution, architecture.stem_stride)
    tally = _Tally()
    tally.convolution(images.channels, architecture.stem, 3, size)
    rows = [tally.row("stem", size, architecture.stem)]
    channels = architecture.stem
    for stage in architecture.stages:
        row = _stage(stage, channels, size)
        rows.append(row)
        channels, size = row.channels, row.resolution
    if architecture.head:
        tally = _Tally()
        tally.convolution(channels, architecture.head, 1, size)
        rows.append(tally.row("head", size, architecture.head))
        channels = architecture.head
    tally = _Tally()
    tally.linear(channels, images.classes)
    rows.append(tally.row("classifier", 1, images.classes))
    return Counts(
        params=sum(row.params for row in rows),
        mult_adds=sum(row.mult_adds for row in rows),
        activations=sum(row.activations for row in rows),
        rows=tuple(rows),
    )


def _stage(stage: Stage, channels: int, size: int) -> Row:
    tally = _Tally()
    for index, entering in enumerate(stage.inputs(channels)):
        before, size = size, _after(size, stage.stride) if index == 0 else size
        expanded = entering * stage.expand
        squeezed = max(1, int(entering * stage.se_ratio)) if stage.se_ratio else 0
        if stage.op == "conv":
            expanded = stage.channels
            tally.convolution(entering, stage.channels, stage.kernel, size)
        elif stage.op == "fused":
            tally.convolution(entering, expanded, stage.kernel, size)
        else:
            if stage.expand != 1:
                tally.convolution(entering, expanded, 1, before)
            tally.convolution(expanded, expanded, stage.kernel, size, groups=expanded)
        if squeezed:
            tally.squeeze_excitation(expanded, squeezed)
        if stage.op != "conv":
            tally.convolution(expanded, stage.channels, 1, size)
    name = stage.op if stage.expand == 1 else f"{stage.op}{stage.expand}"
    return tally.row(f"{name} {stage.kernel}x{stage.kernel}", size, stage.channels, stage.repeats)


def _after(size: int, stride: int) -> int:
    return -(-size // stride)
