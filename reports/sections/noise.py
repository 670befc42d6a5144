"""What is said of noise on test images, wherever a report shows what it does."""

from reports.numbers.study import Study
from reports.paper.document import Block
from reports.sections import common


def notes(it: Study) -> list[Block]:
    """How things were measured."""
    noise = [
        "σ is the standard deviation of Gaussian noise added to a test image scaled to [0, 1]. The realisation depends "
        "on the case, σ and the noise seed alone, so every method is given the same noisy image. Training images are "
        "not disturbed.",
        _rescaling(it),
    ]
    return common.notes(it, list(filter(None, noise)))


def _rescaling(it: Study) -> str:
    return {
        "image": "Each noisy image is scaled back to [0, 1] on its own (`noise.rescale=image`).",
        "array": "Noisy images are scaled back to [0, 1] by the extremes of all test images jointly "
        "(`noise.rescale=array`), as the authors of LDSeg do.",
        "none": "Noisy images are not scaled back to [0, 1] (`noise.rescale=none`).",
    }.get(str(it.results.suite.get("rescale")), "")
