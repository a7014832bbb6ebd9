"""Trained networks as files: weights in safetensors, and a card in the header that says what they are.

`card` needs the standard library only. A file's name in the artifact folder is the SHA-256 of its bytes.
"""

import dataclasses
import hashlib
import json
import math
import os
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from nas import extras, home, spaces
from nas.codec import Malformed, decode, encode
from nas.measurements import Latency, Measurement
from nas.metering.earlier import with_errors
from nas.metrics import Quality
from nas.networks.architecture import Choice, Choices
from nas.networks.counts import counts
from nas.networks.lowering import AnyArchitecture
from nas.parents import Origin
from nas.recipes import Recipe, in_fractions
from nas.records import Job
from nas.rounding import Rounding

if TYPE_CHECKING:
    from torch import Tensor, nn

FORMAT = "nas-checkpoint-4"
EARLIER = ("nas-checkpoint-1", "nas-checkpoint-2", "nas-checkpoint-3")
KEY = "nas"  # one key, as the order of several is not fixed and the name depends on every byte
DRAWN = frozenset(  # torch's names of what fills a parameter
    name + ending for ending in ("uniform_", "normal_") for name in ("", "trunc_", "kaiming_", "xavier_")
)
MOST_HEADER_BYTES = 100_000_000  # safetensors' own limit


class BadCheckpoint(ValueError):
    """The file is not a checkpoint of this service, or not any more; the message says what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What weights are: everything to rebuild the network, feed it and check it."""

    LIKE: ClassVar[tuple[type, ...]] = (Measurement, Job)

    format: str = FORMAT
    """The edition of this description."""
    space: str
    """The search space that builds the network."""
    architecture: AnyArchitecture
    choices: Choices
    run: str
    number: int
    member: str | None
    dataset: str
    classes: tuple[str, ...]
    """The names of the answers, in the order of the logits."""
    mean: tuple[float, ...]
    """What is subtracted from each channel of an image. Images go in as (value / 255 - mean) / std, resized to the
    architecture's resolution."""
    std: tuple[float, ...]
    """What each channel is divided by then."""
    accuracy: float | None
    """The accuracy of these weights on the validation images that they were not trained on, from 0 to 1: where the
    recipe has several folds, those of the first. Null in a final job."""
    test_accuracy: float | None
    params: int
    mult_adds: int
    latencies: dict[str, Latency]
    recipe: Recipe
    seed: int
    shuffle: int = 0
    rounding: Rounding | None = None
    """What quantising did to that accuracy, where it was judged in 8 bits; null where it was not."""
    quality: Quality | None = None
    """What its answers to the same images are worth class by class; null where that was not recorded."""
    pixels: int | None = None
    """Pixels a side that a picture becomes first, cut at its centre; null: those of the architecture."""
    greys: tuple[float, float] | None = None
    """The greys, of pictures of more than 8 bits, that become 0 and 255 then; null: the higher 8 of 16 bits."""
    scored_on: str | None = None
    """Where that accuracy was measured, cpu or cuda, which round differently; null where it was not recorded."""
    contents: str | None = None
    """The digest that the dataset's images had when it was trained; null where it was not recorded."""
    scored_images: str | None = None
    """The SHA-256 of the images that the accuracy was measured on, by their pixels and classes; null likewise. They may
    be the same where others of the dataset are not."""
    seen: bool = False
    """Whether what it began with, or its teacher, may have been trained on images that it was scored on."""
    origin: Origin | None = None
    """The published network whose weights it began with, itself or by way of others; null where there is none."""
    children: dict[str, tuple[Choice, ...]] = field(default_factory=dict)
    tensors: str = ""
    """The SHA-256 of the weights alone."""


def require() -> None:
    """Raise NotInstalled, before hours of training, where saving is impossible."""
    extras.require("saving checkpoints", "workers", "safetensors")


def save(network: "nn.Module", card: Card) -> str:
    """Write `network` and its card into the artifact folder; the file is named by the SHA-256 that is returned.

    Raises OSError where the disk is full or not writable; then nothing is left behind.
    """
    require()
    import safetensors.torch

    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    card = dataclasses.replace(card, tensors=_digest(tensors))
    data = safetensors.torch.save(tensors, {KEY: json.dumps(encode(card), sort_keys=True)})
    sha256 = hashlib.sha256(data).hexdigest()
    keep(artifact(sha256), data)
    return sha256


def keep(path: Path, data: bytes) -> None:
    """Put `data` at `path`, unless it is there: then it counts as new, as nobody prunes what is new."""
    try:
        os.utime(path)
    except FileNotFoundError:
        home.write(path, data)


def artifact(sha256: str) -> Path:
    """Where the checkpoint of that hash is kept."""
    return home.folder("artifacts") / f"{sha256}.safetensors"


def card(path: Path) -> Card:
    """The card in the header of the checkpoint at `path`. Raises BadCheckpoint; OSError where there is no such file."""
    with open(path, "rb") as file:
        start = file.read(8)
        size = int.from_bytes(start, "little")
        header = file.read(size) if size <= MOST_HEADER_BYTES else b""
        file.seek(0, 2)
        return _header(start + header, file.tell(), str(path)).card


@dataclass(frozen=True, kw_only=True)
class _Header:
    card: Card
    table: dict[str, Any]
    """Of each tensor, its kind, shape and place behind the header."""
    size: int
    """Bytes until the first of them."""


def _header(data: bytes | bytearray, whole: int, where: str) -> _Header:
    """What the beginning of a file of `whole` bytes says. Raises BadCheckpoint, whose message begins with `where`."""
    size = int.from_bytes(data[:8], "little")
    if not 2 <= size <= MOST_HEADER_BYTES:
        raise BadCheckpoint(f"{where} is not a safetensors file: its header would be {size:,} bytes")
    try:
        table = json.loads(data[8 : 8 + size])
        text = table.pop("__metadata__", {}).get(KEY)
        wanted = max((entry["data_offsets"][1] for entry in table.values()), default=0)
        odd = whole - 8 - size - wanted
    except (ValueError, AttributeError, LookupError, TypeError) as error:
        raise BadCheckpoint(f"{where} is not a safetensors file: its header is not what it should be") from error
    if text is None:
        raise BadCheckpoint(f"{where} has no card of this service in its header: it was saved by something else")
    if odd:
        raise BadCheckpoint(f"{where} has {wanted + odd:,} bytes of weights instead of {wanted:,}: it was cut off")
    try:
        said = _in_our_words(json.loads(text))
        edition = said.get("format", FORMAT) if isinstance(said, dict) else FORMAT
        if edition != FORMAT:
            raise BadCheckpoint(
                f"{where} is of format {edition!r}, and this version reads {FORMAT!r}: take the version that saved it, "
                "or a newer one"
            )
        return _Header(card=decode(Card, said), table=table, size=8 + size)
    except BadCheckpoint:
        raise
    except (Malformed, ValueError, LookupError, TypeError) as error:
        raise BadCheckpoint(f"{where} has a card that cannot be read: {error}") from error


def _in_our_words(data: Any) -> Any:
    """What a card of an earlier format says: 3 called latencies noisy, 2 also had pixels in its recipe, and 1 the
    latency on the first device apart from the others, and told what its yardstick took as `reference_ms`."""
    if not isinstance(data, dict) or data.get("format") not in EARLIER:
        return data
    if data["format"] == "nas-checkpoint-1":
        first, others = data.pop("latency", None), data.pop("further_latencies", {})
        data["latencies"] = ({first["device"]: first} if first else {}) | others
        for latency in data["latencies"].values():
            if "reference_ms" in latency:
                latency["yardstick_ms"] = latency.pop("reference_ms")
    recipe = data["recipe"]
    if data["format"] != "nas-checkpoint-3":
        recipe = in_fractions(recipe, data["architecture"]["images"]["resolution"])
    return data | {"format": FORMAT, "recipe": recipe, "latencies": with_errors(data["latencies"])}


def load(path: Path) -> tuple["nn.Module", Card]:
    """The network in evaluation mode and its card. A file that is still named by its hash is checked against it.

    Raises BadCheckpoint where file, weights and card do not fit together.
    """
    data = read(path)
    if re.fullmatch("[0-9a-f]{64}", path.stem) and hashlib.sha256(data).hexdigest() != path.stem:
        raise BadCheckpoint(f"{path} is not what its name promises: it was changed or damaged, download it again")
    return loaded(data, str(path))


def read(path: Path) -> bytearray:
    """The bytes of the file at `path`, which `loaded` may keep."""
    with open(path, "rb") as file:
        data = bytearray(os.fstat(file.fileno()).st_size)
        del data[file.readinto(data) :]
    return data


def loaded(data: bytearray, where: str) -> tuple["nn.Module", Card]:
    """The network in evaluation mode and its card, of the bytes of a checkpoint. They are its weights from then on:
    nothing is copied.

    Raises BadCheckpoint, whose message begins with `where`.
    """
    header = _header(data, len(data), where)
    record = header.card
    try:
        tensors = {name: _tensor(data, header.size, entry) for name, entry in header.table.items()}
    except (ValueError, RuntimeError, LookupError, TypeError) as error:
        raise BadCheckpoint(f"{where} cannot be read: {error}") from error
    if _digest(tensors) != record.tensors:
        raise BadCheckpoint(f"{where} has other weights than its card says: it was changed or damaged")
    counted = counts(record.architecture)
    if (counted.params, counted.mult_adds) != (record.params, record.mult_adds):
        raise BadCheckpoint(f"{where} has a card whose counts are not those of its architecture: it was changed")
    with _unfilled():
        network = spaces.load(record.space).build(record.architecture)
    try:
        network.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise BadCheckpoint(f"{where} has weights that do not fit its architecture: {error}") from error
    return network.eval(), record


def _unfilled() -> "AbstractContextManager[object]":
    """Within, parameters of a new network are not drawn, which would take longer than all else and memory for a second
    copy: they are replaced at once."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Unfilled(TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, given: Any = (), named: Any = None) -> Any:
            named = named or {}
            filled = given[0] if given else named.get("tensor")
            if getattr(function, "__name__", "") in DRAWN and isinstance(filled, torch.nn.Parameter):
                return filled
            return function(*given, **named)

    return Unfilled()


def _tensor(data: bytearray, start: int, entry: dict[str, Any]) -> "Tensor":
    """What an entry of a safetensors header describes, in the memory of `data`."""
    import torch

    kinds = {
        "F64": torch.float64,
        "F32": torch.float32,
        "F16": torch.float16,
        "BF16": torch.bfloat16,
        "I64": torch.int64,
        "I32": torch.int32,
        "I16": torch.int16,
        "I8": torch.int8,
        "U8": torch.uint8,
        "BOOL": torch.bool,
    }
    kind, shape, (first, last) = kinds[entry["dtype"]], entry["shape"], entry["data_offsets"]
    count, odd = divmod(last - first, kind.itemsize)
    if first < 0 or count < 0 or odd or count != math.prod(shape):
        raise ValueError(f"{last - first} bytes are no {entry['dtype']} of shape {shape}")
    if not count:
        return torch.empty(shape, dtype=kind)
    return torch.frombuffer(data, dtype=kind, count=count, offset=start + first).view(shape)


def _digest(tensors: "dict[str, Tensor]") -> str:
    """Of names, kinds, shapes and values, in the order of the names."""
    import torch

    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
