"""A teacher: a trained network whose answers another one learns from (Hinton, Vinyals & Dean 2015)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from nas.models import checkpoint
from nas.teaching import order
from nas.training.data import Normalisation


class Teacher:
    """The network of the checkpoint `sha256`, which answers with logits of the `classes` in their order.

    It is shown the very batch that the student is, whatever was done to it, which is undone as far as it was normalised
    (`how`) and done as the teacher had it. Raises OSError where there is no such file, BadCheckpoint for one that is
    damaged, Refusal for a teacher of other images.
    """

    def __init__(
        self, sha256: str, classes: Sequence[str], channels: int, how: Normalisation, device: torch.device
    ) -> None:
        network, card = checkpoint.load(checkpoint.artifact(sha256))
        self._order = torch.tensor(order(card, classes, channels), device=device)
        self._network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._resolution = card.architecture.images.resolution
        own, his = (
            [torch.tensor(each, device=device)[:, None, None] for each in both]
            for both in ((how.mean, how.std), (card.mean, card.std))
        )
        self._scale, self._shift = own[1] / his[1], (own[0] - his[0]) / his[1]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Logits (N, classes) for a batch as the student sees it."""
        seen = torch.addcmul(self._shift, images, self._scale)
        size = (self._resolution, self._resolution)
        if seen.shape[-2:] != size:
            seen = F.interpolate(seen, size=size, mode="bilinear", antialias=True)
        logits: Tensor = self._network(seen.contiguous(memory_format=torch.channels_last))
        return logits.float()[:, self._order]


def distilled(logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """How far answers are from the teacher's, in all of the batch together; its gradients do not shrink with the
    temperature."""
    answers, wanted = (F.log_softmax(each / temperature, 1) for each in (logits, taught))
    return temperature**2 * F.kl_div(answers, wanted, reduction="sum", log_target=True)
