"""A teacher: a trained network whose answers another one learns from (Hinton, Vinyals & Dean 2015)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from nas import parents
from nas.teaching import order
from nas.training.data import Normalisation


class Teacher:
    """The network that `nas.parents` has by that name, which answers with logits of the `classes` in their order.

    It is shown the very batch that the student is, whatever was done to it, which is undone as far as it was normalised
    (`how`) and done as the teacher had it. Raises ValueError where it is not there, is damaged or knows other images.
    """

    def __init__(
        self, name: str, classes: Sequence[str], channels: int, how: Normalisation, device: torch.device
    ) -> None:
        network, teacher = parents.load(name)
        self._order = torch.tensor(order(teacher, classes, channels), device=device)
        self._network = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._resolution = teacher.architecture.images.resolution
        own, his = (
            [torch.tensor(each, device=device)[:, None, None] for each in both]
            for both in ((how.mean, how.std), (teacher.mean, teacher.std))
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
