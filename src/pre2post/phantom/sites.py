"""The two sites of the cohort: scanners and protocols."""

from dataclasses import dataclass

from pre2post.phantom.grid import Grid, make_grid


@dataclass(frozen=True)
class Site:
    """A scanner and its protocol. Times in ms, flip angle in degrees, relaxivities in 1/(mM s), lengths in mm."""

    name: str
    manufacturer: str
    model: str
    field: float
    repetition_time: float
    echo_time: float
    flip_angle: float
    field_of_view: float
    front: float  # y of the anterior edge of the field of view in the body frame
    matrix_ratio: float  # of this site to the requested matrix
    slices_ratio: float  # likewise, slices
    r1: float
    r2: float
    residual_fat: float  # mean share of the fat signal that remains after suppression
    noise: float  # standard deviation relative to the gland signal at full coil sensitivity
    gain: float  # gland signal at full coil sensitivity, scanner units
    bits: int
    signed: bool

    @property
    def strength(self) -> int:
        """Return the index into the pairs of relaxation times: 0 for 1.5 T, 1 for 3 T."""
        return 0 if self.field < 2 else 1

    def grid(self, matrix: int, slices: int) -> Grid:
        return make_grid(
            self.field_of_view,
            self.front,
            max(8, round(matrix * self.matrix_ratio)),
            max(4, round(slices * self.slices_ratio)),
        )


# Vendors, field strengths and protocol times as in the Duke cohort (Saha et al., Br J Cancer 119:508, 2018).
# r1 and r2 of gadobutrol in plasma at 37 C: Rohrer et al., Invest Radiol 40:715 (2005).
SITES = {
    "A": Site(
        name="A",
        manufacturer="GE MEDICAL SYSTEMS",
        model="SIGNA EXCITE",
        field=1.5,
        repetition_time=5.3,
        echo_time=2.4,
        flip_angle=10.0,
        field_of_view=320.0,
        front=-125.0,
        matrix_ratio=1.0,
        slices_ratio=1.0,
        r1=5.2,
        r2=6.1,
        residual_fat=0.055,
        noise=0.05,
        gain=420.0,
        bits=16,
        signed=True,
    ),
    "B": Site(
        name="B",
        manufacturer="SIEMENS",
        model="TrioTim",
        field=3.0,
        repetition_time=4.1,
        echo_time=1.5,
        flip_angle=10.0,
        field_of_view=340.0,
        front=-132.0,
        matrix_ratio=1.125,
        slices_ratio=20 / 24,
        r1=5.0,
        r2=7.1,
        residual_fat=0.05,
        noise=0.035,
        gain=150.0,
        bits=12,
        signed=False,
    ),
}
