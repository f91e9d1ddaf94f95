"""Section `synthesis` of params.yaml; see the comments there for units and reasons."""

from pre2post.core.section import Count, Section


class SynthesisParams(Section):
    weights: str
    batch_size: Count
