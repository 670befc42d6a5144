"""The generated echocardiograms as another probe would show them: a shift of the data that needs no download."""

from datasets.phantom_echo import PhantomEcho, Probe


class PhantomEchoProbe2(PhantomEcho):
    """Other hearts of the same kind, seen with a coarser speckle, less gain and a stronger loss with depth.

    What differs from video to video in `PhantomEcho` differs here as well, and as much.
    """

    name = "phantom_echo_probe2"
    title = (
        "Generated echocardiograms of a second probe, 2D frames of videos, left ventricle and atrium (no files needed)"
    )
    probe = Probe(gain=-4.0, grain=1.8, absorption=1.6)
