"""Networks of searched cells: NASNet-A (Zoph et al. 2018), AmoebaNet-A and -C (Real et al. 2019) and DARTS (Liu et al.
2019), by the genotypes of their released code; NASNet's and AmoebaNet's concatenate some states that are used as
well."""

from functools import partial

from nas.networks.architecture import TORCH_EPSILON, Images
from nas.networks.cells import Cell, CellArchitecture, Node

_SHORT = {
    "id": "identity",
    "avg3": "average3",
    "max3": "max3",
    "sep3": "separable3",
    "sep5": "separable5",
    "sep7": "separable7",
    "1x7": "1x7-7x1",
}


def cell(blocks: str, outputs: tuple[int, ...]) -> Cell:
    """A cell from lines of "operation@state + operation@state"."""
    nodes = []
    for line in blocks.split(";"):
        pairs = (each.strip().split("@") for each in line.split("+"))
        nodes.append(Node(inputs=tuple((_SHORT.get(name, name), int(state)) for name, state in pairs)))
    return Cell(nodes=tuple(nodes), outputs=outputs)


NASNET_A = (
    cell("sep5@0+sep3@1; sep5@1+sep3@1; avg3@0+id@1; avg3@1+avg3@1; sep3@0+id@0", (1, 2, 3, 4, 5, 6)),
    cell("sep5@0+sep7@1; max3@0+sep7@1; avg3@0+sep5@1; id@3+avg3@2; sep3@2+max3@0", (3, 4, 5, 6)),
)
AMOEBANET_A = (
    cell("avg3@0+max3@0; sep3@1+id@1; id@0+avg3@1; sep3@0+sep5@2; avg3@5+sep3@0", (1, 3, 4, 6)),
    cell("sep3@1+avg3@0; max3@0+sep7@2; max3@1+max3@0; sep3@4+1x7@0; avg3@1+sep7@0", (2, 3, 4, 5, 6)),
)
AMOEBANET_C = (
    cell("avg3@0+sep3@0; id@0+sep3@0; avg3@2+sep3@1; id@0+sep3@1; avg3@3+sep3@0", (1, 2, 4, 5, 6)),
    cell("max3@0+max3@0; sep7@2+sep3@0; sep7@0+max3@1; sep5@4+sep5@4; max3@1+sep3@1", (0, 2, 3, 4, 5, 6)),
)

DARTS = (
    "sep_conv_3x3@0+sep_conv_3x3@1; sep_conv_3x3@0+sep_conv_3x3@1; sep_conv_3x3@1+skip_connect@0; "
    "skip_connect@0+dil_conv_3x3@2",
    "max_pool_3x3@0+max_pool_3x3@1; skip_connect@2+max_pool_3x3@1; max_pool_3x3@0+skip_connect@2; "
    "skip_connect@2+max_pool_3x3@1",
)


def imagenet(
    images: Images,
    *,
    genotype: tuple[Cell, Cell] = NASNET_A,
    cells: int,
    filters: int,
    stem: int = 32,
    past_reduction: bool = False,
    drop_path: float = 0.0,
) -> CellArchitecture:
    """`cells` @ 24 × `filters`, in the paper's words."""
    normal, reduction = genotype
    return CellArchitecture(
        images=images,
        family="nasnet",
        normal=normal,
        reduction=reduction,
        cells=cells,
        filters=filters,
        stem="large",
        stem_filters=stem,
        past_reduction=past_reduction,
        dropout=0.5,
        drop_path=drop_path,
    )


def cifar(images: Images, *, genotype: tuple[Cell, Cell] = NASNET_A, cells: int, filters: int) -> CellArchitecture:
    normal, reduction = genotype
    return CellArchitecture(
        images=images,
        family="nasnet",
        normal=normal,
        reduction=reduction,
        cells=cells,
        filters=filters,
        stem_filters=3 * filters,
        drop_path=0.4,
    )


def darts(images: Images, *, cells: int, filters: int, large: bool = False) -> CellArchitecture:
    normal, reduction = (cell(blocks, (2, 3, 4, 5)) for blocks in DARTS)
    return CellArchitecture(
        images=images,
        family="darts",
        normal=normal,
        reduction=reduction,
        cells=cells,
        filters=filters,
        stem="large" if large else "small",
        stem_filters=filters if large else 3 * filters,
        drop_path=0.0 if large else 0.2,
        norm_epsilon=TORCH_EPSILON,
    )


NETWORKS = {
    "NASNet-A (4 @ 1056) mobile": partial(imagenet, cells=4, filters=44),
    "NASNet-A (5 @ 1538)": partial(imagenet, cells=5, filters=64, stem=96),
    "NASNet-A (7 @ 1920)": partial(imagenet, cells=7, filters=80, stem=96),
    "NASNet-A (6 @ 4032) large": partial(imagenet, cells=6, filters=168, stem=96, past_reduction=True, drop_path=0.3),
    "NASNet-A (6 @ 768) CIFAR + cutout": partial(cifar, cells=6, filters=32),
    "NASNet-A (7 @ 2304) CIFAR + cutout": partial(cifar, cells=7, filters=96),
    "AmoebaNet-A (4, 50)": partial(imagenet, genotype=AMOEBANET_A, cells=4, filters=50),
    "AmoebaNet-C (4, 50)": partial(imagenet, genotype=AMOEBANET_C, cells=4, filters=50),
    "DARTS (second order, CIFAR)": partial(darts, cells=6, filters=36),
    "DARTS (second order, ImageNet)": partial(darts, cells=4, filters=48, large=True),
}
