"""Own data join a command by name; classes that it names are of their kind before anything of theirs is called."""

import subprocess
import sys
from concurrent.futures import Executor

import numpy as np
import pytest
from PIL import Image

from benchmarks.errors import BadInput
from benchmarks.kinds.registry import checked
from benchmarks.plan import classes, forms
from benchmarks.plan.configuration import CONF, configure
from benchmarks.plan.sources import checked_entries, source
from datasets.base import Source
from datasets.phantom_glands import PhantomGlands


@pytest.fixture
def folders(tmp_path):
    """A folder of images and one of masks with six pairs."""
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for number in range(6):
            pixels = (np.arange(64).reshape(8, 8) % 2 * 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / kind / f"case{number}.png")
    return f"images: {tmp_path}/images, masks: {tmp_path}/masks"


def test_several_own_data_sets_join_by_name_with_the_settings_of_folder(folders, tmp_path):
    file = tmp_path / "polyps.yaml"
    file.write_text(folders.replace(", ", "\n") + "\nfractions: {test: 0.4, train: 0.5}\n")
    words = [f"+dataset.isic={{{folders}}}", f"+dataset.polyps={file}", "datasets=[isic,polyps]"]
    config, _ = checked([*words, "profile=tiny", "+dataset.isic.seed=3"])
    first, second = source(config, "isic"), source(config, "polyps")
    assert (first.name, second.name) == ("isic", "polyps")
    assert (first.seed, second.seed) == (3, 0) and second.fractions == {"train": 0.5, "val": 0.1, "test": 0.4}
    assert first.limit == {"train": 8, "val": 2, "test": 6} and len(first.entries()) == 6
    assert list(config.dataset.isic.image_size.tiny) == [64, 64]


def test_a_class_of_ones_own_joins_the_data_sets_of_the_suite(monkeypatch):
    class Mine(PhantomGlands):
        pass

    monkeypatch.setattr(sys.modules[__name__], "Mine", Mine, raising=False)
    monkeypatch.setitem(sys.modules, "my_package", sys.modules[__name__])
    config = configure(["suite=accuracy", "profile=tiny", "dataset._target_=my_package.Mine", "+dataset.size=48"])
    assert list(config.datasets)[-1] == "mine" and config.dataset.mine.size == 48
    assert isinstance(source(config, "mine"), Mine) and source(config, "mine").name == "mine"
    assert source(config, "mine").limit == {"train": 8, "val": 2, "test": 6}


@pytest.mark.parametrize(
    "words, message",
    [
        (["+dataset.isic=nowhere.yaml"], r"dataset\.isic: the file cannot be read as settings .*nowhere"),
        (["+dataset.isic=3"], r"dataset\.isic=3: is no data set of conf/dataset/\. Expected settings, such as"),
        (
            ["dataset._target_=os.mkdir"],
            r"dataset\._target_=os\.mkdir: is no such class; expected a subclass of datasets",
        ),
        (["executor._target_=os.mkdir"], r"executor\._target_=os\.mkdir: is no such class; .*Executor"),
        (["executor._target_=subprocess.Popen"], r"executor\._target_=subprocess\.Popen: is no such class"),
        (["+executor.x={_target_: os.mkdir, path: x}"], r"executor: 'x' is not known"),
        (["method._target_=3"], r"method\._target_=3: expected a class"),
        (["method=null"], r"method=null: expected settings of one of them, such as method\.unet\.size=small"),
        (["dataset=[a]"], r"dataset=\[a\]: expected settings of one of them, such as dataset\.glas"),
        (["training=null"], r"training=None: expected settings"),
        (["verify=null"], r"verify=None: expected settings"),
        (["verify.add=3"], r"verify\.add=3: expected true or false"),
        (["tune.rungs=[a]"], r"tune\.rungs=\['a'\]: expected a list of shares"),
        (["tune.rungs=[2]"], r"tune\.rungs=\[2\]: expected a list of shares between 0 and 1"),
        (["profile.steps=0.5"], r"profile\.steps=0\.5: expected a whole number"),
        (["suite.eta=-1"], r"suite\.eta=-1: .*expected a number from 0 to 1"),
        (["suite.version=a"], r"suite\.version='a': .*expected a whole number"),
        (["+method.nothing=3"], r"method\.nothing=3: expected settings"),
        (["+dataset.x={images: a, masks: b, training: 3}"], r"dataset\.x\.training=3: expected settings"),
        (["+dataset.x={_target_: datasets.base.Source}", "datasets=[x]"], r"Source: is the base of all such classes"),
        (["dataset._target_=datasets.folder.Folder"], r"would join as folder, which is a data set .*my_folder"),
        (["+seed=3"], r"'seed' is not known\. Did you mean 'seeds'\?"),
        (["+noise.sigma=3"], r"noise: 'sigma' is not known"),
        (["method.resunet.training.steps=5"], r"there is no such key.* \+method\.resunet\.training\.steps=VALUE"),
        (["method.resunet.training={a: 1}"], r"^method\.resunet\.training=\{a: 1\}: Could not override"),
        (["suite.sigmas=[0,0.1]", "seeds=[1"], r"^seeds=\[1: "),
        (["method.ldseg=null"], r"method\.ldseg=None: expected settings"),
        (["dataset.glas=null"], r"dataset\.glas=None: expected settings"),
        (["profile.steps=many"], r"profile\.steps=many: expected a number, such as"),
        (["profile.limit=3"], r"profile\.limit=3: expected settings"),
        (["profile.batch_size=0"], r"profile\.batch_size=0: expected a number above 0"),
        (["paths.runs=2024"], r"paths\.runs=2024: expected words, .* Write 'paths\.runs=\"2024\"'"),
        (["deterministic=words"], r"deterministic=words: expected true or false"),
        (["training=3"], r"training=3: expected settings"),
        (["suite.sigmas=null"], r"suite\.sigmas"),
        (["methods=[[1]]"], r"methods"),
    ],
)
def test_values_of_another_form_are_refused_by_name(words, message):
    with pytest.raises(BadInput, match=message):
        checked(["profile=tiny", *words])


@pytest.mark.parametrize(
    "words, message",
    [
        (
            "dataset.phantom_glands.size=[a]",
            r"dataset\.phantom_glands\.size=\['a'\]: expected a whole number, such as 128",
        ),
        (
            "dataset.phantom_glands.limit=[1,2]",
            r"dataset\.phantom_glands\.limit=\[1, 2\]: expected settings \{KEY: VALUE",
        ),
        ("dataset.phantom_glands._target_=os.mkdir", r"_target_=os\.mkdir: is no such class"),
        ("dataset.phantom_glands._target_=null", r"_target_=None: expected a subclass of datasets\.base\.Source"),
        ("dataset.phantom_glands.augmentation=3", r"dataset\.phantom_glands\.augmentation=3: expected"),
    ],
)
def test_arguments_of_another_type_are_refused_before_the_class_is_called(words, message):
    with pytest.raises(BadInput, match=message):
        source(configure(["profile=tiny", words]), "phantom_glands")


def test_what_a_class_of_ones_own_raises_is_named_with_its_place(tmp_path, monkeypatch):
    (tmp_path / "their_package.py").write_text(
        "from datasets.phantom_glands import PhantomGlands\n\n\nclass Theirs(PhantomGlands):\n"
        "    def entries(self):\n        return [{}['case']]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    config = configure(
        ["profile=tiny", "dataset._target_=their_package.Theirs", "datasets=[]", f"paths.runs={tmp_path}"]
    )
    with pytest.raises(BadInput, match=r"dataset\.theirs: their_package\.Theirs failed at .*py:6 \(KeyError: "):
        checked_entries(source(config, "theirs"), config)


def test_a_size_that_is_none_is_refused_by_its_key():
    from benchmarks.plan.choices import image_size

    for words in ("64", "[a,b]", "[0,1]", "null"):
        config = configure(["profile=tiny", f"dataset.phantom_glands.image_size.tiny={words}"])
        with pytest.raises(BadInput, match=r"dataset\.phantom_glands\.image_size\.tiny=.*expected a whole number"):
            image_size(config, "phantom_glands")


def test_a_class_is_imported_only_where_it_is_one_of_its_kind():
    assert classes.named_class("key", "benchmarks.executors.local.Local", Executor).__name__ == "Local"
    with pytest.raises(BadInput, match="key=nowhere.Class: cannot be imported"):
        classes.named_class("key", "nowhere.Class", Source)


def test_numbers_are_not_made_of_words_and_switches_are_no_numbers():
    def kind(width: int, rate: float = 0.5, name: str | None = None) -> None: ...

    classes.check_arguments("it", kind, {"width": 3, "rate": 1, "name": None})
    for wrong in ({"width": "3"}, {"width": True}, {"rate": "x"}, {"name": 3}, {"depth": 2}):
        with pytest.raises(BadInput, match=r"it(\.\w+)?[=:]"):
            classes.check_arguments("it", kind, wrong)
    with pytest.raises(BadInput, match="expected at least one number"):
        forms._positive("profile", {"sizes": []})


@pytest.mark.long
def test_300_overrides_of_the_wrong_form_are_refused_by_name_or_mean_something():
    command = [sys.executable, "-m", "tests.benchmarks.plan.wrong_overrides", "300"]
    done = subprocess.run(command, cwd=CONF.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
