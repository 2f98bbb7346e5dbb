"""The projection head: features before it are evaluated, features behind it are matched (paper section 3.3)."""

from jaxtyping import Float
from torch import Tensor, nn


class ProjectionHead(nn.Module):
    """D -> D -> D with one ReLU."""

    def __init__(self, width: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, u: Float[Tensor, "B T D"]) -> Float[Tensor, "B T D"]:
        return self.layers(u)
