import numpy as np
import pytest

from datasets.base import DataError
from datasets.integrity import check
from datasets.phantom_echo import PhantomEcho
from datasets.phantom_glands import PhantomGlands
from datasets.prepare import prepare

PHANTOMS = [PhantomGlands, PhantomEcho]
FEW = {"train": 4, "val": 1, "test": 2}


@pytest.fixture(params=PHANTOMS, ids=lambda kind: kind.name)
def kind(request):
    return request.param


def cases(source, split=None):
    return {entry.id: source.read(entry) for entry in source.entries() if split in (None, entry.split)}


def dice(prediction, label):
    return 2 * np.sum(prediction & label) / max(np.sum(prediction) + np.sum(label), 1)


def otsu(values):
    """The threshold with the largest variance between the two parts (Otsu 1979)."""
    counts, edges = np.histogram(values, 128)
    centres = (edges[:-1] + edges[1:]) / 2
    below, total = np.cumsum(counts), np.cumsum(counts * centres)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = (total[-1] * below / below[-1] - total) ** 2 / (below * (below[-1] - below))
    return centres[np.nanargmax(np.where(np.isfinite(between), between, np.nan))]


def test_same_seed_same_cases_whatever_the_order_and_the_number(kind):
    few, many = kind(FEW), kind({"train": 6, "val": 3, "test": 2})
    first = cases(few)
    backwards = {entry.id: many.read(entry) for entry in reversed(many.entries())}
    for name, case in first.items():
        np.testing.assert_array_equal(case.image, backwards[name].image)
        np.testing.assert_array_equal(case.label, backwards[name].label)


def test_other_seed_other_split_and_other_number_give_other_cases(kind):
    entry = kind(FEW).entries()[0]
    assert not np.array_equal(kind(FEW).read(entry).image, kind(FEW, seed=1).read(entry).image)
    images = [case.image.tobytes() for case in cases(kind(FEW)).values()]
    assert len(set(images)) == len(images)


def test_cases_keep_to_the_contract(kind):
    source = kind(FEW)
    check(source)
    for case in cases(source).values():
        assert case.image.shape == (source.channels, 128, 128) and case.image.dtype == np.float32
        assert np.isfinite(case.image).all() and case.image.min() >= 0 and case.image.max() <= 1
        assert case.label.dtype == np.int64 and case.label.shape == (128, 128)
        assert set(np.unique(case.label)) <= set(range(len(source.class_names) + 1))


def test_every_class_is_in_every_case(kind):
    source = kind(limit={"train": 12, "val": 4, "test": 4})
    for case in (source.read(entry) for entry in source.selected()):
        assert set(np.unique(case.label)) == set(range(len(source.class_names) + 1))


def test_size_changes_sampling_and_not_anatomy(kind):
    entry = kind(FEW).entries()[0]
    small, large = kind(FEW, size=64).read(entry).label, kind(FEW, size=128).read(entry).label
    assert dice(small > 0, large[::2, ::2] > 0) > 0.9


def test_thresholds_do_badly(kind):
    """No threshold of brightness, dark or bright side, comes near a learnt segmentation."""
    scores = []
    source = kind(limit={"train": 1, "val": 1, "test": 16})
    for case in (source.read(entry) for entry in source.selected() if entry.split == "test"):
        grey, label = case.image.mean(0), case.label > 0
        seen = grey > 0  # pixels outside the sector are black in every echocardiogram
        threshold = otsu(grey[seen])
        scores.append(max(dice((grey < threshold) & seen, label), dice((grey > threshold) & seen, label)))
    assert 0.2 < np.mean(scores) < 0.7


def test_place_alone_does_badly(kind):
    """The mean label of the training part, the best guess without looking at the image."""
    source = kind(limit={"train": 32, "val": 1, "test": 16})
    chosen = {split: [source.read(e) for e in source.selected() if e.split == split] for split in ("train", "test")}
    mean = np.mean([case.label > 0 for case in chosen["train"]], axis=0)
    scores = [dice(mean > 0.4, case.label > 0) for case in chosen["test"]]
    assert np.mean(scores) < 0.8


def test_foreground_share_varies_between_cases():
    shares = [(case.label > 0).mean() for case in cases(PhantomGlands(), "val").values()]
    assert 0.15 < np.mean(shares) < 0.65 and np.std(shares) > 0.05


def test_glands_are_many_and_stained():
    for case in list(cases(PhantomGlands(), "val").values())[:6]:
        red, green, blue = case.image.mean((1, 2))
        assert green < red and green < blue  # haematoxylin and eosin absorb green most


def test_frames_of_a_video_share_a_group_and_an_anatomy():
    source = PhantomEcho(FEW)
    entries = source.entries()
    assert len(entries) == 4 * (4 + 1 + 2)
    video = [source.read(entry) for entry in entries if entry.group == "train_000"]
    assert len(video) == 4
    ventricle = [np.sum(case.label == 1) for case in video]
    assert ventricle[2] < ventricle[1] < ventricle[0] and ventricle[2] < ventricle[3]
    atrium = [np.sum(case.label == 2) for case in video]
    assert atrium[2] > atrium[0]
    assert dice(video[1].label == 1, video[3].label == 1) > 0.97  # the same phase on the way down and up
    assert not np.array_equal(video[1].image, video[3].image)  # under other speckle


def test_echo_is_a_sector_with_labels_inside_and_a_spacing():
    for case in cases(PhantomEcho(FEW)).values():
        assert case.image[0, 0, 0] == case.image[0, -1, 0] == 0
        assert case.image[0][case.label > 0].mean() > 0.01
        assert case.spacing == (1.25, 1.25)


def test_phantoms_can_be_prepared_at_another_size(kind, tmp_path):
    data = prepare(kind(FEW, limit={"train": 2}), (32, 32), tmp_path)
    assert len(data.split["train"]) == 2
    assert data.images.shape[1:] == (kind.channels, 32, 32) and data.labels.max() == len(kind.class_names)


@pytest.mark.parametrize("cases", [{"train": 3, "val": 0, "test": 1}, {"train": 3, "test": 1}, FEW | {"extra": 1}])
def test_splits_without_cases_are_refused(kind, cases):
    with pytest.raises(DataError, match=rf"dataset\.{kind.name}\.cases"):
        kind(cases)


@pytest.mark.parametrize(
    "kind, mean, deviation, foreground",
    [(PhantomGlands, 0.68572, 0.21478, 0.50238), (PhantomEcho, 0.22230, 0.23391, 0.17023)],
)
def test_generator_draws_what_its_version_drew(kind, mean, deviation, foreground):
    """Whoever changes the pictures raises `version`, which keeps old and new trials apart, and these numbers."""
    source = kind()
    case = source.read(source.entries()[-1])
    assert source.version == 1
    found = (case.image.mean(), case.image.std(), (case.label > 0).mean())
    assert found == pytest.approx((mean, deviation, foreground), abs=2e-3)
