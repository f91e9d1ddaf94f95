"""The architecture of a generator, stored in the header of every weights file."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pre2post.core.errors import InputError

if TYPE_CHECKING:
    from pre2post.pix2pixhd.params import GanParams


@dataclass(frozen=True)
class Architecture:
    """The parameters that define a generator. Defaults are the published ones (arXiv 1711.11585, appendix A.1).

    kind: global (G1), or local (G2): G1 inside `enhancers` local enhancers.
    channels: of the image, which is the first input channels and the output.
    width: filters of the first layer; if local, of the outermost enhancer (published: 64 and 32).
    neighbours: slices on each side of the input slice, which are further input channels; 0 in the original.
    residual, upsampling: additions to the paper. With `residual` the output is the input plus a change; `upsampling` is
    "transposed" (convolution, as published) or "resize" (then convolve).
    """

    kind: str = "global"
    channels: int = 1
    width: int = 64
    downs: int = 4
    blocks: int = 9
    enhancers: int = 1
    enhancer_blocks: int = 3
    residual: bool = False
    upsampling: str = "transposed"
    neighbours: int = 0

    @classmethod
    def from_settings(cls, settings: "GanParams", neighbours: int = 0) -> "Architecture":
        """Read the architecture from the gan section of params.yaml, which calls `kind` "generator"."""
        names = set(cls.__dataclass_fields__) - {"kind", "neighbours"}
        values = {name: getattr(settings, name) for name in names}
        return cls(kind=settings.generator, neighbours=neighbours, **values)

    @property
    def input_channels(self) -> int:
        """Number of channels of the input: the image, then its neighbours."""
        return self.channels + 2 * self.neighbours

    @property
    def size_multiple(self) -> int:
        """Height and width of the input must be multiples of this number of pixels."""
        return 2 ** (self.downs + (self.enhancers if self.kind == "local" else 0))

    def check_size(self, size: int) -> None:
        """Raise InputError if slices of `size` x `size` pixels do not fit.

        The lowest resolution needs at least 2 x 2 pixels, because reflection padding needs a neighbour.
        """
        multiple = self.size_multiple
        if size % multiple or size < 2 * multiple:
            raise InputError(
                "the slice size does not fit the generator's down-sampling",
                found=f"slices.size {size}",
                expected=f"a multiple of {multiple}, and at least {2 * multiple}",
                hint="change slices.size, or use a generator with other gan.downs",
            )
