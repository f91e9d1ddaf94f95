"""What has to be known to build a generator: it travels in the header of every weights file."""

from dataclasses import dataclass

from pre2post.core.errors import InputError


@dataclass(frozen=True)
class Architecture:
    """The published generator (arXiv 1711.11585, appendix A.1), by default; the last two fields are additions.

    kind: global (G1), or local (G2): G1 inside `enhancers` local enhancers. channels: of the image, in and out.
    width: filters of the first layer, of the outermost enhancer if local (published 64 and 32).
    residual: the output is the input plus a change. upsampling: transposed convolution, or resize then convolve.
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

    @classmethod
    def of(cls, settings) -> "Architecture":
        """From the gan section of params.yaml, which uses the same names but for `kind`."""
        names = set(cls.__dataclass_fields__) - {"kind"}
        return cls(kind=settings.generator, **{name: getattr(settings, name) for name in names})

    @property
    def size_multiple(self) -> int:
        """Height and width of the input must be multiples of this."""
        return 2 ** (self.downs + (self.enhancers if self.kind == "local" else 0))

    def check_size(self, size: int) -> None:
        """Raises InputError when the generator cannot take slices of `size` pixels.

        At the lowest resolution a pixel needs a neighbour to reflect.
        """
        multiple = self.size_multiple
        if size % multiple or size < 2 * multiple:
            raise InputError(
                "the slices do not fit the generator",
                found=f"slices.size {size}",
                expected=f"a multiple of {multiple}, and at least {2 * multiple}, for its down-samplings",
                hint="change slices.size, or use a generator with other gan.downs",
            )
