"""The cross-attention module: each sequence attends to the other (paper section 3.3; layers as in LoFTR and CASA).

Shapes: B batch, T and S time of the two sequences, D width.
"""

from jaxtyping import Bool, Float, Int64
from torch import Tensor, cat, nn

from pipeline.models.attention import linear_attention, softmax_attention
from pipeline.models.positions import TemporalPositions


class CrossLayer(nn.Module):
    """x + MLP(concat[x, message]), the message being what x gathers from the source by attention."""

    def __init__(self, width: int, heads: int, head_width: int, attention: str):
        super().__init__()
        self.heads = heads
        self.attend = {"linear": linear_attention, "softmax": softmax_attention}[attention]
        self.query = nn.Linear(width, heads * head_width, bias=False)
        self.key = nn.Linear(width, heads * head_width, bias=False)
        self.value = nn.Linear(width, heads * head_width, bias=False)
        self.merge = nn.Linear(heads * head_width, width, bias=False)
        self.norm_message = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(2 * width, 2 * width, bias=False), nn.ReLU(), nn.Linear(2 * width, width, bias=False)
        )
        self.norm_mlp = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "B T D"], source: Float[Tensor, "B S D"], keep) -> Float[Tensor, "B T D"]:
        def split(tokens: Tensor) -> Tensor:
            return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)

        message = self.attend(split(self.query(x)), split(self.key(source)), split(self.value(source)), keep)
        message = self.norm_message(self.merge(message.transpose(1, 2).flatten(2)))
        return x + self.norm_mlp(self.mlp(cat([x, message], dim=-1)))


class CrossAttention(nn.Module):
    """MLP + learned positions, then `depth` layers that update both sequences at once."""

    def __init__(
        self,
        positions: TemporalPositions | None,
        *,
        width: int,
        depth: int,
        heads: int,
        head_width: int,
        attention: str,
    ):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.positions = positions
        self.layers = nn.ModuleList(CrossLayer(width, heads, head_width, attention) for _ in range(depth))

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        y: Float[Tensor, "B S D"],
        lengths: tuple[Int64[Tensor, " B"], Int64[Tensor, " B"]],
        keep: tuple[Bool[Tensor, "B T"] | None, Bool[Tensor, "B S"] | None],
    ) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B S D"]]:
        """lengths and keep are those of x and of y."""
        x, y = self.mlp(x), self.mlp(y)
        if self.positions is not None:
            x, y = x + self.positions(lengths[0]), y + self.positions(lengths[1])
        for layer in self.layers:
            x, y = layer(x, y, keep[1]), layer(y, x, keep[0])
        return x, y
