"""The generated glands as another laboratory would show them: a shift of the data that needs no download."""

from datasets.phantom_glands import Laboratory, PhantomGlands


class PhantomGlandsLab2(PhantomGlands):
    """Other tissue of the same kind, with pale haematoxylin, strong eosin, yellowish glass and a scanner of less focus.

    What differs from image to image in `PhantomGlands` differs here as well, and as much.
    """

    name = "phantom_glands_lab2"
    title = "Generated H&E-like glands of a second laboratory, 2D RGB, one class (no files needed)"
    laboratory = Laboratory(haematoxylin=0.75, eosin=1.3, defocus=1.7, glass=(1.0, 0.96, 0.86))
