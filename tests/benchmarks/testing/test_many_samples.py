"""One image sampled many times: the runs do not depend on how they are batched, and what is said of them."""

import numpy as np
import pytest
import torch

from benchmarks.plan.trials import Condition
from benchmarks.seeding import generator_for
from benchmarks.testing import many_samples
from benchmarks.testing.many_samples import Repeated
from methods.base import Sampling, Segmenter
from tests.benchmarks.blobs import candidate, prepared, ragged
from tests.benchmarks.many import collected


class Noisy(Segmenter):
    """A segmentation drawn from the generator alone, which adds what is embedded of the image."""

    generative = True

    def __init__(self):
        super().__init__()
        self.embedded, self.batches = 0, []

    def embed(self, image):
        self.embedded += 1
        return image.mean(1)

    def segment(self, image, sampling, generators, callback=None, embedding=None):
        self.batches.append(len(image))
        embedding = image.mean(1) if embedding is None else embedding
        noise = torch.stack([torch.randn(image.shape[2:], generator=generator) for generator in generators])
        foreground = torch.sigmoid(4 * embedding - 2 + noise)
        return torch.stack([1 - foreground, foreground], dim=1)


def sampled(data, runs=7, batch=None, model=None):
    how = Repeated(Condition(0.0, Sampling(2), data.image_size, "none"), runs, batch)
    it = candidate(model or Noisy(), data, seed=3)
    return many_samples.sampled(it, how, np.array(data.images[1]), 1)[0]


def test_runs_depend_neither_on_the_batch_nor_on_how_many_there_are():
    images, labels = ragged([(8, 8), (8, 8)])
    data = prepared(images, labels, image_size=(8, 8), spacing=[None] * 2)
    whole, model = sampled(data), Noisy()
    in_parts = sampled(data, batch=3, model=model)
    assert model.batches == [3, 3, 1] and model.embedded == 1
    assert np.array_equal(whole.mean, in_parts.mean) and np.array_equal(whole.sd, in_parts.sd)
    assert np.array_equal(whole.labels[:4], sampled(data, runs=4).labels)
    generator = generator_for("sampling", data.name, data.ids[1], 3, 5)  # how a case is tested with Sampling(seed=5)
    image = torch.from_numpy(images[1])[None]
    alone = Noisy().segment(image, Sampling(2, seed=5), [generator])[0].argmax(0).numpy()
    assert np.array_equal(whole.labels[5], alone)


@pytest.mark.parametrize("shape", [(8, 8, 8), (12, 8, 9)])
def test_volumes_are_sampled_run_by_run_on_their_own_grid(shape):
    images, labels = ragged([shape, shape])
    data, model = prepared(images, labels, fit="pad"), Noisy()
    runs = sampled(data, runs=3, model=model)
    assert runs.sd.shape == shape and set(model.batches) == {1} and runs.sd.max() > 0
    assert np.array_equal(runs.sd, sampled(data, runs=3).sd)
    rows = many_samples.scores(runs, data, 1)
    assert rows[-1]["pixels"] == np.prod(shape) and rows[-1]["runs"] == 3


def test_an_image_without_foreground_is_scored_and_its_auroc_left_open():
    data = prepared([np.zeros((1, 8, 8), np.float32)], [np.zeros((8, 8), np.uint8)], image_size=(8, 8), spacing=[None])
    empty = collected([np.stack([np.ones((8, 8)), np.zeros((8, 8))])] * 3)
    pooled = many_samples.scores(empty, data, 0)[-1]
    assert pooled["dsc"] == pooled["run_dsc"] == 1 and pooled["empty"] == "both" and np.isnan(pooled["auroc"])
    assert pooled["mean_sd"] == pooled["errors"] == pooled["energy_distance"] == pooled["brier"] == 0
    assert not any(value for name, value in pooled.items() if name.startswith(("foreground_bin", "boundary_bin")))
    assert sum(value for name, value in pooled.items() if name[:3] == "bin" and name.endswith("_count")) == 64
