"""suite=synthesis: what is made is made once, from the maps of the test cases, and judged against their own images."""

import io
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import run_bench
from benchmarks.errors import BadInput
from benchmarks.kinds import synthesizing
from benchmarks.kinds.registry import checked
from benchmarks.kinds.synthesis import Synthesis
from benchmarks.kinds.variants import with_variants
from benchmarks.plan.configuration import configure
from benchmarks.plan.sources import prepared
from benchmarks.seeding import generator_for
from benchmarks.store.results import Store
from benchmarks.synthesis import judging, making
from benchmarks.synthesis.recipe import Recipe
from benchmarks.training.weights import trained_model
from methods.synthesis.base import LabelMapError, scaled
from reports import write
from reports.numbers.study import study
from reports.paper import html
from reports.paper.document import Document
from reports.suites.synthesis import gallery, leafing

TINY = [
    "suite=synthesis", "profile=tiny", "datasets=[phantom_echo]",
    "methods=[echo_from_noise,med_lsdm,class_stats,replay]", "training.steps=4", "device=cpu", "tracking=none",
    "profile.limit={train: 6, val: 2, test: 5}", "suite.gallery_steps=[2,3]", "suite.pictures=2",
    "profile.timing_repeats=1",
]  # fmt: skip
KIND = Synthesis()


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """(config, store, results) of a short run."""
    runs = tmp_path_factory.mktemp("runs")
    config = configure([*TINY, f"paths.runs={runs}"])
    return config, Store(runs), KIND.run(config, "")


def of(results, method):
    view = next(view for view in results.trials if view.config.method.name == method)
    judged = [one for one in results.syntheses if one.trial == view.key and not one.shown]
    return view, judged[0] if judged else None


def test_every_method_makes_an_image_of_every_test_map_or_says_why_not(suite):
    results = suite[2]
    assert {view.config.method.name: view.status for view in results.trials} == {
        "echo_from_noise": "ok", "med_lsdm": "declined", "class_stats": "ok", "replay": "ok",
    }  # fmt: skip
    data = prepared(suite[0], results.trials[0].config.dataset)
    wanted = {data.ids[index] for index in data.split["test"]}
    for method in ("echo_from_noise", "class_stats", "replay"):
        records = results.records[results.records["method"] == method]
        assert set(records["case"]) == wanted and len(records) == len(wanted)
        assert set(of(results, method)[1].made.load().ids) == wanted


def test_images_are_those_of_the_maps_sampled_case_by_case(suite):
    config, _, results = suite
    view, judged = of(results, "echo_from_noise")
    model, data, made = trained_model(view.config, view.path), prepared(config, view.config.dataset), judged.made.load()
    for place in (0, len(made.ids) - 1):
        case = str(made.ids[place])
        image, label = map(torch.from_numpy, data.batch([data.ids.index(case)]))
        own = model.condition(image, label.long())
        np.testing.assert_array_equal(own[0], made.maps[place])
        alone = model.synthesize(own, [generator_for("synthesis", data.name, case, 0)], judged.steps)
        np.testing.assert_allclose(alone[0], made.images[place], atol=1e-4)


def test_scores_are_against_the_real_image_of_the_map_and_the_training_images(suite):
    config, _, results = suite
    view, judged = of(results, "class_stats")
    data, made = prepared(config, view.config.dataset), judged.made.load()
    records = results.records[results.records["method"] == "class_stats"].set_index("case")
    training = scaled(torch.from_numpy(data.batch(data.split["train"])[0])).numpy()
    for case, image in zip(made.ids.astype(str), made.images):
        real = scaled(torch.from_numpy(data.batch([data.ids.index(case)])[0]))[0].numpy()
        assert records.loc[case, "rmse"] == pytest.approx(np.sqrt(np.mean((image - real) ** 2)), rel=1e-4)
        far = np.sqrt(np.mean((training - image) ** 2, axis=(1, 2, 3))).min()
        assert records.loc[case, "nearest"] == pytest.approx(far, rel=1e-4)


def test_replay_is_found_to_copy_and_other_real_images_are_the_same_for_every_method(suite):
    records = suite[2].records
    assert (records.loc[records["method"] == "replay", "nearest"] == 0).all()
    assert (records["nearest_real"] > 0).all()
    assert records.groupby("case")["rmse_other"].nunique().eq(1).all()
    references = [{s["metric"]: s["reference"] for s in of(suite[2], m)[1].scores} for m in ("class_stats", "replay")]
    assert references[0] == references[1]
    assert {name.partition("-")[0] for name in references[0]} == {
        "fid@random", "mmd@random", "fid@own", "mmd@own",
    }  # fmt: skip


def test_a_second_run_makes_nothing_and_the_report_needs_no_data(suite, monkeypatch):
    config, _, results = suite
    monkeypatch.setattr(making, "_batches", lambda *_: pytest.fail("made again"))
    monkeypatch.setattr(judging, "judge", lambda *_: pytest.fail("judged again"))
    again = KIND.run(config, "")
    pd.testing.assert_frame_equal(again.records, results.records)
    assert not KIND.left(config, suite[1]).seconds
    monkeypatch.setattr("datasets.phantom_echo.PhantomEcho.read", lambda *_: pytest.fail("read the data"))
    pd.testing.assert_frame_equal(KIND.stored(config, "").records, results.records)


def test_an_interrupted_making_goes_on_where_it_was_and_gives_the_same_images(suite, monkeypatch):
    config, store, results = suite
    _, judged = of(results, "echo_from_noise")
    monkeypatch.setattr("benchmarks.synthesis.making.CHUNK", {2: 2, 3: 2})
    view, _ = of(results, "echo_from_noise")
    place = store.runs / "syntheses" / "again"
    model, data = trained_model(view.config, view.path), prepared(config, view.config.dataset)
    arguments = (model, data, Recipe("test", judged.steps), place, {"seed": 0}, torch.device("cpu"), lambda *_: None)
    making.make(*arguments)
    whole = making.Syntheses(place).load()
    np.testing.assert_allclose(whole.images, judged.made.load().images, atol=1e-4)
    (place / "images0001.npz").unlink()
    real, batches = making._batches, []
    monkeypatch.setattr(making, "_batches", lambda *given: batches.append(given[3]) or real(*given))
    making.make(*arguments)
    assert [len(part) for part in batches] == [2]
    np.testing.assert_array_equal(making.Syntheses(place).load().images, whole.images)


def test_cases_without_structure_are_left_out_and_named(suite):
    config, _, results = suite
    data = prepared(config, results.trials[0].config.dataset)
    empty = data.split["test"][1]

    class Emptied:
        ids, split = data.ids, data.split

        def batch(self, indices):
            image, label = data.batch(indices)
            return image, label * (indices[0] != empty)

    wanted, left_out = making.orders(Emptied(), Recipe("test", 0))
    assert left_out == [data.ids[empty]] and data.ids[empty] not in [one.id for one in wanted]


def test_where_all_maps_are_empty_nothing_is_made_and_the_first_is_named(suite, tmp_path):
    config, _, results = suite
    view, _ = of(results, "class_stats")
    data = prepared(config, view.config.dataset)
    bare = replace(data, labels=np.zeros_like(data.labels), own=None)
    arguments = (trained_model(view.config, view.path), bare, Recipe("test", 0), tmp_path, {"seed": 0})
    with pytest.raises(
        LabelMapError, match=f"phantom_echo: .*all 5 test cases are empty, {data.ids[bare.split['test'][0]]}"
    ):
        making.make(*arguments, torch.device("cpu"), lambda *_: None)


def test_a_case_with_an_empty_map_is_named_while_images_are_made_and_in_the_report(tmp_path, capsys):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    random = np.random.default_rng(0)
    for number in range(12):
        label = np.zeros((16, 16), np.uint8)
        label[4:9, 3 + number % 5 : 12] = 1
        for kind, content in (("images", random.integers(20, 90, label.shape) + 90 * label), ("masks", label)):
            Image.fromarray(content.astype(np.uint8)).save(tmp_path / kind / f"p{number:02d}.png")
    splits = {"train": range(4), "val": [4], "test": range(5, 12)}
    (tmp_path / "split.json").write_text(json.dumps({k: [f"p{n:02d}" for n in v] for k, v in splits.items()}))
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "masks" / "p07.png")
    folder = [f"dataset.folder.{key}={tmp_path / name}" for key, name in
              (("images", "images"), ("masks", "masks"), ("split", "split.json"))]  # fmt: skip
    overrides = [*TINY, "datasets=[folder]", "methods=[class_stats,replay]", "suite.segmenter=null", *folder]
    overrides += ["dataset.folder.image_size.tiny=[16,16]", "profile.limit=null", f"paths.runs={tmp_path / 'runs'}"]
    assert run_bench.main(overrides) == 0
    assert "no image is made of 1 empty test map(s): p07" in capsys.readouterr().out.replace("\n", " ")
    assert "1 test case without any structure, p07." in (tmp_path / "runs/reports/synthesis/report.md").read_text()


@pytest.mark.parametrize(
    "wrong, words",
    [("class", "p05.png holds the value"), ("size", "p05.png: the image has the size")],
)
def test_maps_of_an_unknown_class_or_another_size_are_refused_with_the_name_of_their_file(tmp_path, wrong, words):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for number in range(10):
            content = np.zeros((16, 16), np.uint8)
            content[3:9, 4:12] = 1
            Image.fromarray(content).save(tmp_path / kind / f"p{number:02d}.png")
    bad = np.full((16, 16), 7, np.uint8) if wrong == "class" else np.ones((16, 12), np.uint8)
    Image.fromarray(bad).save(tmp_path / "masks" / "p05.png")
    folder = [f"dataset.folder.{kind}={tmp_path / kind}" for kind in ("images", "masks")]
    overrides = [*TINY, "datasets=[folder]", "methods=[class_stats]", "suite.segmenter=null", *folder]
    overrides += ["dataset.folder.classes={disc: 1}", "profile.limit=null", f"paths.runs={tmp_path / 'runs'}"]
    with pytest.raises(BadInput, match=words):
        KIND.run(configure(overrides), "")


def test_the_methods_are_timed_side_by_side(suite):
    calls = {v.config.method.name: v.cost["inference"] for v in suite[2].trials if v.status == "ok"}
    assert len({row["comparison"] for rows in calls.values() for row in rows}) == 1
    assert all(row["seconds_median"] > 0 for rows in calls.values() for row in rows)
    assert calls["echo_from_noise"][0]["nfe"] == calls["echo_from_noise"][0]["steps"] - 1


def test_its_report_says_what_its_records_say(suite, tmp_path):
    results = KIND.stored(suite[0], "")
    text = write(results, tmp_path / "report").read_text()
    table = pd.read_csv(tmp_path / "report/tables/quality_phantom_echo.csv").set_index("method")
    records = results.records
    for method in ("echo_from_noise", "class_stats", "replay"):
        own = records[records["method"] == method].groupby("group")["ssim"].mean()
        assert table.loc[method, "ssim"] == pytest.approx(own.mean())
        scores = {score["metric"]: score["value"] for score in of(results, method)[1].scores}
        for metric, value in scores.items():
            assert table.loc[method, metric] == pytest.approx(value)
    assert "100 % of the images of Replay are copies" in text and "declined: Med-LSDM is published for volumes" in text
    for name in ("gallery_phantom_echo", "gallery_steps_phantom_echo_echo_from_noise"):
        assert (tmp_path / f"report/figures/{name}.png").exists() and name in text
    for ending in ("csv", "tex"):
        assert (tmp_path / f"report/tables/memorisation_phantom_echo.{ending}").exists()
    assert "200.45" in text and "Context only" in text


def test_its_page_has_map_real_image_and_every_method_of_each_test_case(suite):
    results = KIND.stored(suite[0], "")
    it = study(results)
    found = leafing.browser(it, ["phantom_echo"])
    data = prepared(suite[0], results.trials[0].config.dataset)
    assert {case.name for case in found.cases} == {data.ids[index] for index in data.split["test"]} and found.images
    made = of(results, "class_stats")[1].made.load()
    for case in found.cases:
        place = made.ids.astype(str).tolist().index(case.name)
        assert set(case.cells) == {"Echo from Noise (3 steps)", "Class statistics", "Replay"}
        shown = pixels(case.cells["Class statistics"][0].pictures[0])[..., 0] / 127.5 - 1
        assert np.abs(shown - made.images[place, 0]).mean() < 0.05
        real = scaled(torch.from_numpy(data.batch([data.ids.index(case.name)])[0]))[0, 0].numpy()
        assert np.abs(pixels(case.inputs[0][0])[..., 0] / 127.5 - 1 - real).mean() < 0.05
        painted = gallery.painted(made.maps[place], 3)
        np.testing.assert_allclose(pixels(case.label[0]) / 255, painted, atol=0.01)
        assert case.cells["Replay"][0].dsc.endswith("a copy") and case.legend[-1][1] == "outside the field of view"
    page = html.render(Document("Page", [found]), suite[1].runs)
    assert "All images of a case are made from the map shown" in page


def pixels(encoded):
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"), dtype=float)


def test_a_legend_names_what_its_maps_show():
    inside, beyond = np.array([[0, 1], [2, 1]]), np.array([[0, 1], [2, 3]])
    words = [
        [text.get_text() for text in gallery.draw(["case"], {"map": [one]}, {}, ["LV", "LA"]).legends[0].get_texts()]
        for one in (inside, beyond)
    ]
    assert words == [["LV", "LA"], ["LV", "LA", "outside the field of view"]]


def test_volumes_are_judged_whole_and_plane_by_plane_and_shown_by_orthogonal_slices(tmp_path):
    overrides = [*TINY, "datasets=[phantom_knee]", "methods=[med_lsdm,class_stats]", "suite.segmenter=null",
                 "dataset.phantom_knee.image_size.tiny=[16,16,16]", f"paths.runs={tmp_path}"]  # fmt: skip
    assert run_bench.main(overrides) == 0
    folder = tmp_path / "reports/synthesis"
    table = pd.read_csv(folder / "tables/quality_phantom_knee.csv")
    assert {"3dfid@random-seed0", "fid@random-seed0", "3dmmd@random-seed0", "mmd@random-seed0"} <= set(table)
    assert table["fid@random-seed0_images"].dropna().eq(5 * 16).all()
    assert "three orthogonal slices" in (folder / "report.md").read_text()
    config = configure(overrides)
    (case, *_) = leafing.browser(study(KIND.stored(config, "")), ["phantom_knee"]).cases
    assert len(case.slices) == len(case.label) == len(case.inputs[0]) == 16 and case.slices[case.first].endswith(
        " of 16"
    )
    areas = [(pixels(one).max(axis=-1) > 0).sum() for one in case.label]
    assert case.first == int(np.argmax(areas)) and case.slices[0] == "slice 1 of 16"


def test_variants_are_methods_of_their_own(tmp_path):
    overrides = [*TINY, "suite.variants={med_lsdm: [{decoder: normal}, {decoder: spade, map_channels: 4}]}"]
    config = with_variants(configure([*overrides, f"paths.runs={tmp_path}"]))
    assert list(config.methods) == [
        "echo_from_noise", "med_lsdm-normal", "med_lsdm-spade-4", "class_stats", "replay",
    ]  # fmt: skip
    assert config.method["med_lsdm-spade-4"].decoder == "spade" and config.method["med_lsdm-spade-4"].map_channels == 4
    assert config.method["med_lsdm-spade-4"].title == "Med-LSDM, decoder spade, map channels 4"


@pytest.mark.parametrize(
    "override, words",
    [
        ("suite.pictures=0", "suite.pictures=0"), ("suite.gallery_steps=[1]", "suite.gallery_steps: 1"),
        ("suite.sampler=ddim", "suite.sampler=ddim.*sampler of their own"),
        ("suite.inception=nowhere.pth", "suite.inception=nowhere.pth: there is no such file"),
        ("suite.segmenter=replay", "suite.segmenter=replay: expected a method that segments"),
        ("suite.segmenter=nope", "suite.segmenter=nope"),
        ("suite.variants={med_lsdm: [{decodr: spade}]}", "suite.variants.med_lsdm.*decodr"),
        ("suite.variants={med_lsdm: 3}", "suite.variants.med_lsdm=3"),
        ("suite.variants={unet: [{size: tiny}]}", "suite.variants.unet: is none of the methods compared"),
        ("methods=[resunet]", "methods: resunet segments images"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused_by_name(override, words, tmp_path):
    with pytest.raises(BadInput, match=words):
        checked([*(word for word in TINY if not override.startswith(word.partition("=")[0] + "=")), override,
                 f"paths.runs={tmp_path}"])  # fmt: skip


def test_the_folder_of_images_is_named_by_all_that_decides_them(tmp_path):
    recipes = [
        Recipe("test", 3),
        Recipe("train", 3),
        Recipe("test", 5),
        Recipe("train", 3, 2),
        Recipe("train", 3, 2, 0.1),
    ]
    assert len({synthesizing.folder(tmp_path, "key", recipe) for recipe in recipes}) == len(recipes)
