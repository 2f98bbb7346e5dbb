"""The cross-attention module: each sequence attends to the other (paper section 3.3; layers as in LoFTR and CASA).

Shapes: B batch, T and S time of the two sequences, D width.
"""

from jaxtyping import Bool, Float, Int64
from torch import Tensor, cat, nn

from pipeline.models.attention import linear_attention, softmax_attention
from pipeline.models.positions import Positions


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
    """MLP and positions, then `depth` layers that update both sequences at once.

    self_layers: LoFTR's and CASA's form instead. Before each layer, another lets each sequence attend to itself; then
    the second sequence attends to what the first has become; the layers' weights start as Glorot and Bengio's (2010).
    """

    def __init__(
        self,
        positions: Positions | None,
        *,
        width: int,
        depth: int,
        heads: int,
        head_width: int,
        attention: str,
        self_layers: bool = False,
    ):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.positions = positions

        def layers() -> nn.ModuleList:
            return nn.ModuleList(CrossLayer(width, heads, head_width, attention) for _ in range(depth))

        self.layers = layers()
        self.self_layers = layers() if self_layers else None
        if self.self_layers is not None:
            for weight in (*self.layers.parameters(), *self.self_layers.parameters()):
                if weight.ndim > 1:
                    nn.init.xavier_uniform_(weight)

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
            x, y = self.positions(x, lengths[0]), self.positions(y, lengths[1])
        if self.self_layers is None:
            for layer in self.layers:
                x, y = layer(x, y, keep[1]), layer(y, x, keep[0])
            return x, y
        for own, cross in zip(self.self_layers, self.layers, strict=True):
            x, y = own(x, x, keep[0]), own(y, y, keep[1])
            x = cross(x, y, keep[1])
            y = cross(y, x, keep[0])
        return x, y
