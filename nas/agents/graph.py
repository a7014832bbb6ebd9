"""What an agent runs of the networks that it is sent: plain layers, with their weights within the file.

ONNX is protocol buffers, which are read here as far as it takes, since an agent has nothing but ONNX Runtime and numpy.
"""

from collections.abc import Iterator
from typing import TypeAlias

from nas.metering import DeviceError

# What the exporter makes of a network: layers, and arithmetic between them. No loops, no branches, no files.
_WORDS = """
    Add AveragePool BatchNormalization Cast Clip Concat Constant ConstantOfShape Conv DequantizeLinear Div Dropout
    Flatten Gemm GlobalAveragePool HardSigmoid HardSwish Identity LRN MatMul Max MaxPool Min Mul Pad Pow QuantizeLinear
    ReduceMean ReduceSum Relu Reshape Sigmoid Slice Softmax Softplus Split Sqrt Squeeze Sub Sum Tanh Transpose Unsqueeze
"""
OPERATORS = frozenset(_WORDS.split())
DOMAINS = frozenset({b"", b"ai.onnx"})
MOST_NODES = 100_000

Message: TypeAlias = memoryview
# Numbers of fields in onnx.proto3.
MODEL_GRAPH, MODEL_FUNCTIONS = 7, 25
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_SPARSE = 1, 5, 15
NODE_TYPE, NODE_ATTRIBUTE, NODE_DOMAIN = 4, 5, 7
ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS = 5, 10, (6, 11)
TENSOR_EXTERNAL, TENSOR_LOCATION = 13, 14


def check(model: bytes) -> None:
    """Raise DeviceError for a model that has anything in it but plain layers and their weights."""
    try:
        _model(memoryview(model))
    except (IndexError, ValueError) as error:
        raise DeviceError(f"what was sent is no network in ONNX: {error}") from error


def _model(model: Message) -> None:
    for field, value in _fields(model):
        if field == MODEL_GRAPH:
            _graph(_message(value))
        elif field == MODEL_FUNCTIONS:
            raise DeviceError("the network has functions of its own, and an agent runs none")


def _graph(graph: Message) -> None:
    nodes = 0
    for field, value in _fields(graph):
        if field == GRAPH_NODE:
            nodes += 1
            if nodes > MOST_NODES:
                raise DeviceError(f"the network has more than {MOST_NODES:,} operations, and an agent runs no such one")
            _node(_message(value))
        elif field == GRAPH_INITIALIZER:
            _tensor(_message(value))
        elif field == GRAPH_SPARSE:
            raise DeviceError("the network has sparse weights, and an agent runs none")


def _node(node: Message) -> None:
    operator, domain = b"", b""
    for field, value in _fields(node):
        if field == NODE_TYPE:
            operator = bytes(_message(value))
        elif field == NODE_DOMAIN:
            domain = bytes(_message(value))
        elif field == NODE_ATTRIBUTE:
            _attribute(_message(value))
    if domain not in DOMAINS or operator.decode("latin-1") not in OPERATORS:
        raise DeviceError(f"the network has operation {bytes(operator)[:40].decode('latin-1')!r}, which no agent runs")


def _attribute(attribute: Message) -> None:
    for field, value in _fields(attribute):
        if field in ATTRIBUTE_GRAPHS:
            raise DeviceError("the network has a loop or a branch, and an agent runs none")
        if field in (ATTRIBUTE_TENSOR, ATTRIBUTE_TENSORS):
            _tensor(_message(value))


def _tensor(tensor: Message) -> None:
    for field, value in _fields(tensor):
        if field == TENSOR_EXTERNAL or (field == TENSOR_LOCATION and value != 0):
            raise DeviceError("the network's weights are in a file of this machine, and an agent reads none")


def _message(value: "int | Message") -> Message:
    if isinstance(value, int):
        raise ValueError("a number stands where a message belongs")
    return value


def _fields(message: Message) -> Iterator[tuple[int, "int | Message"]]:
    """The fields of a message, in the order in which they come: a field's number, and a number or the bytes of it."""
    place = 0
    while place < len(message):
        key, place = _number(message, place)
        field, kind = key >> 3, key & 7
        if kind == 0:
            number, place = _number(message, place)
            yield field, number
            continue
        if kind in (1, 5):
            size = 8 if kind == 1 else 4
        elif kind == 2:
            size, place = _number(message, place)
        else:
            raise ValueError(f"field {field} is of kind {kind}, which there is none of")
        if place + size > len(message):
            raise ValueError(f"field {field} ends beyond the end")
        yield field, message[place : place + size]
        place += size


def _number(message: Message, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the place behind it."""
    number = 0
    for shift in range(0, 70, 7):
        byte = message[place]
        number |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return number, place
    raise ValueError("a number has no end")
