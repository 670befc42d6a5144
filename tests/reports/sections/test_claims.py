"""What reports say of a publication's claims: which rows answer which claim, and what verdict follows."""

from pathlib import Path

import pandas as pd
import pytest

from reports.sections import claims

ROOT = Path(__file__).parents[3]
TITLES = {one["claim"]: one for one in claims.load()["claims"]}


def difference(second, value, verdict, first="ldseg-2", of="dsc at sigma 0", about="methods", dataset="glas", **more):
    """A row of tables/differences.csv, with an interval of 0.02."""
    return {"dataset": dataset, "first": first, "second": second, "of": of, "difference": value, "low": value - 0.01,
            "high": value + 0.01, "margin": 0.01, "about": about, "verdict": verdict} | more  # fmt: skip


@pytest.fixture
def reports(tmp_path):
    """Writes tables of a suite's report, by name, and returns what the table of claims then holds."""

    def write(suite, **tables):
        folder = tmp_path / suite / "tables"
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in tables.items():
            pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)
        return claims.answers({suite: [tmp_path / suite]})

    return write


def trial(method, seed, status="ok", dataset="glas"):
    return {"dataset": dataset, "method": method, "seed": seed, "status": status}


def test_methods_that_claims_name_exist_and_have_a_title():
    known = {path.stem for path in (ROOT / "conf" / "method").glob("*.yaml")}
    named = {name for one in TITLES.values() for name in (one["first"], *one.get("against", []))}
    assert named <= known and named <= set(claims.load()["titles"])
    suites = {path.stem for path in (ROOT / "conf" / "suite").glob("*.yaml")}
    assert {one["suite"] for one in TITLES.values()} <= suites


def test_the_most_accurate_is_judged_against_all_and_shown_against_the_best(reports):
    rows = [difference("unet", -0.03, "worse"), difference("resunet", -0.1, "worse so far"),
            difference("vnet", 0.05, "better"), difference("ldseg_direct", -0.5, "worse"),
            difference("unet", -0.9, "worse", of="dsc at sigma 0.2")]  # fmt: skip
    trials = [trial("ldseg", s) for s in range(3)] + [trial("resunet", 0), trial("resunet", 1, "failed")]
    (found,) = (a for a in reports("accuracy", differences=rows, trials=trials) if "most accurate" in a.claim)
    assert found.compared == "LDSeg, K = 2 − Res-UNet, the best of 3 rivals"
    assert (found.value, found.low, found.high) == pytest.approx((-0.1, -0.11, -0.09))
    assert found.verdict == "falls: worse than 2 of 3, better than 1" and found.trainings == (3, 1)
    assert found.published == "+0.05"  # 0.91 and 0.86 in table II


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["better", "better"], "holds: better than 2 of 2"),
        (["better", "better so far"], "holds so far: better than 2 of 2"),
        (["better", "undecided"], "undecided: worse than 0 of 2, better than 1"),
        (["not worse", "not better"], "undecided: worse than 0 of 2, better than 0"),
        (["not worse", "equivalent"], "falls: equivalent within 0.01 to 1 of 2, better than 0"),
        (["worse so far", "better"], "falls so far: worse than 1 of 2, better than 1"),
        (["worse so far", "worse"], "falls: worse than 2 of 2, better than 0"),
    ],
)
def test_the_most_accurate_needs_to_be_better_than_every_rival(reports, verdicts, expected):
    rows = [difference(name, 0.1, verdict) for name, verdict in zip(("unet", "vnet"), verdicts)]
    (found,) = (a for a in reports("accuracy", differences=rows) if "most accurate" in a.claim)
    assert found.verdict == expected


def test_the_most_accurate_is_of_methods_only_where_each_comparison_is(reports):
    rows = [difference("unet", 0.02, "better"), difference("vnet", 0.1, "better", about="trainings")]
    (found,) = (a for a in reports("accuracy", differences=rows) if "most accurate" in a.claim)
    assert found.verdict == "holds: better than 2 of 2, of these trainings"


def test_a_rival_with_several_numbers_of_steps_is_one_and_one_without_a_result_is_named(reports):
    rows = [difference("medsegdiff-2", 0.3, "better"), difference("medsegdiff-20", 0.01, "undecided"),
            difference("unet", 0.1, "better")]  # fmt: skip
    trials = [trial(name, 0) for name in ("ldseg", "medsegdiff", "unet")]
    trials += [trial("sdf_ddpm", 0, "declined"), trial("vnet", 0, "failed", dataset="camus"), trial("flowsdf", 0)]
    (found,) = (a for a in reports("accuracy", differences=rows, trials=trials) if "most accurate" in a.claim)
    assert found.verdict == "undecided: worse than 0 of 2, better than 1"
    assert found.compared == "LDSeg, K = 2 − MedSegDiff, K = 20, the best of 2 rivals (no result: SDF-DDPM)"
    (found,) = (a for a in reports("accuracy", differences=rows[2:], trials=trials[:1]) if "most accurate" in a.claim)
    assert (found.verdict, found.compared) == ("holds: better than 1 of 1", "LDSeg, K = 2 − U-Net, the only rival")


def test_a_method_of_ones_own_is_not_taken_for_the_one_whose_name_its_own_begins_with(reports):
    rows = [
        difference("lsegdiff-wide-10", 0.1, "better"),
        difference("lsegdiff-10", 0.1, "better", first="ldseg-wide-2"),
    ]
    assert reports("accuracy", differences=rows) == []


def test_names_of_data_sets_stay_as_they_are(reports):
    rows = [difference("lsegdiff-10", 0.1, "better", dataset=name) for name in ("007", "NA")]
    trials = [trial(name, 0, dataset=dataset) for name in ("ldseg", "lsegdiff") for dataset in ("007", "NA")]
    found = [a for a in reports("accuracy", differences=rows, trials=trials) if "two stages" in a.claim]
    assert [(a.dataset, a.trainings) for a in found] == [("007", (1, 1)), ("NA", (1, 1))]


def test_folds_of_one_seed_are_one_training(reports):
    trials = [trial(name, 0) for name in ("ldseg", "lsegdiff") for _ in range(5)]
    rows = [difference("lsegdiff-10", 0.1, "better", about="trainings")]
    (found,) = (a for a in reports("accuracy", differences=rows, trials=trials) if "two stages" in a.claim)
    assert found.trainings == (1, 1)
    # A training that ended well may have been tested in part only: the row says how many it is of.
    rows = [difference("lsegdiff-10", 0.1, "better", about="trainings", first_seeds=3, second_seeds=2)]
    (found,) = (a for a in reports("accuracy", differences=rows, trials=trials) if "two stages" in a.claim)
    assert found.trainings == (3, 2)


def test_a_training_that_collapsed_is_said_to_leave_it_undecided(reports):
    rows = [difference("lsegdiff-10", 0.4, "undecided", about="trainings", collapsed=True)]
    (found,) = (a for a in reports("accuracy", differences=rows) if "two stages" in a.claim)
    assert found.verdict == "undecided, as a training collapsed, of these trainings"
    # The interval in that table is of the patients alone.
    assert (found.value, found.low, found.high) == (0.4, None, None)


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("better", "holds"), ("better so far", "holds so far"), ("worse", "falls, the other way round"),
        ("worse so far", "falls, the other way round so far"), ("equivalent", "falls: equivalent within 0.01"),
        ("not better", "not by more than 0.01"), ("not worse", "open: not worse by more than 0.01"),
        ("undecided", "undecided"), ("bare", "undecided"),
    ],
)  # fmt: skip
def test_of_a_claim_that_one_is_better(reports, verdict, expected):
    rows = [difference("lsegdiff-10", 0.02, verdict, about="trainings", dataset="camus")]
    (found,) = (a for a in reports("accuracy", differences=rows) if "two stages" in a.claim)
    assert found.verdict == f"{expected}, of these trainings"
    assert found.published == "(+0.01)" and found.compared == "LDSeg, K = 2 − LSegDiff, K = 10"


def fewest(value, verdict, not_worse, **more):
    """A row of tables/fewest_against_most.csv, with an interval of 0.02."""
    return {"dataset": "glas", "method": "ldseg", "fewest": 2, "most": 100, "difference": value,
            "difference_low": value - 0.01, "difference_high": value + 0.01, "p_not_worse": not_worse, "margin": 0.01,
            "about": "methods", "collapsed": False, "verdict": verdict} | more  # fmt: skip


@pytest.mark.parametrize(
    ("value", "verdict", "not_worse", "expected"),
    [
        (0.02, "better", 0.01, "holds"), (0.02, "better so far", 0.01, "holds"),
        (0.02, "better so far", 0.2, "holds so far"), (0, "equivalent", 0.01, "holds"), (0, "not worse", 0.01, "holds"),
        (-0.03, "worse", 1, "falls"), (-0.03, "worse so far", 1, "falls so far"),
        (-0.015, "worse", 1, "undecided: worse, perhaps by no more than 0.01"),
        (-0.015, "worse so far", 1, "undecided: worse so far, perhaps by no more than 0.01"),
        (-0.005, "worse", 0.01, "holds: worse, but not by more than 0.01"),
        (0, "not better", 1, "undecided"), (0, "undecided", 1, "undecided"), (0, "bare", None, "undecided"),
    ],
)  # fmt: skip
def test_two_steps_are_enough_where_they_are_not_worse_by_more_than_the_margin(
    reports, value, verdict, not_worse, expected
):
    row = fewest(value, verdict, not_worse)
    (found,) = reports("sampling_steps", fewest_against_most=[row, row | {"method": "lsegdiff"}, row | {"fewest": 5}])
    assert (found.verdict, found.low) == (expected, pytest.approx(value - 0.01))
    assert found.compared == "LDSeg, 2 − 100 steps"


def test_beside_the_most_steps_stands_how_many_come_close_to_the_best(reports):
    row = {"dataset": "glas", "method": "ldseg", "enough": 3, "enough_low": 2.0, "enough_high": 5.0}
    others = [row | {"method": "lsegdiff", "enough": 7}, row | {"dataset": "camus", "enough": 9}]
    (found,) = reports(
        "sampling_steps", fewest_against_most=[fewest(0, "not worse", 0.01)], steps_needed=[*others, row]
    )
    assert found.compared == "LDSeg, 2 − 100 steps (within 0.005 of its best first with 3 [2, 5])"


def test_robustness_is_of_the_loss_not_of_the_score(reports):
    rows = [difference("resunet", -0.2, "worse", of="dsc at sigma 0.2"),
            difference("resunet", 0.3, "better", of="change of dsc from sigma 0 to 0.2"),
            difference("resunet", 0.1, "better", of="change of dsc from sigma 0 to 0.1")]  # fmt: skip
    loss, left = reports("noise_robustness", differences=rows)
    assert (loss.value, loss.verdict) == (0.3, "holds")
    # What had little to lose: the loss says the one, the score that is left the other.
    assert (left.value, left.verdict) == (-0.2, "falls, the other way round")


def test_what_was_published_of_one_method_does_not_stand_beside_another(reports):
    rows = [
        difference(name, 0.1, "better", of="change of dsc from sigma 0 to 0.2") for name in ("resunet", "resunet_noise")
    ]
    assert [a.published for a in reports("noise_robustness", differences=rows)] == [
        "pictures of Echo and Knee", "not claimed",
    ]  # fmt: skip


def scaling(**more):
    """A row of tables/scaling.csv."""
    return {"dataset": "phantom_glands", "method": "ldseg", "steps": 50, "smallest": "64x64", "largest": "256x256",
            "sizes": 2, "exponent": 0.6, "low": 0.5, "high": 0.7, "last_low": 0.0} | more  # fmt: skip


@pytest.mark.parametrize(
    ("said", "expected"),
    [("is practically constant", "holds"), ("cannot be told from a constant", "undecided"),
     ("grows like the number of pixels", "falls: time grows like the number of pixels"), ("", "undecided"),
     ("does not grow", "open: does not grow, but may fall"), ("falls", "falls: time falls")],
)  # fmt: skip
def test_growth_with_the_image(reports, said, expected):
    (found,) = reports("image_size", scaling=[scaling(verdict=said)])
    assert found.verdict == f"{expected}, on this machine" and found.trainings == ()
    assert found.compared == "exponent of the side, 2 sizes from 64x64 to 256x256, K = 50"


def test_a_time_that_grows_at_the_end_is_not_constant(reports):
    (found,) = reports("image_size", scaling=[scaling(verdict="is practically constant", last_low=0.3)])
    assert found.verdict == "open: grows between the two largest sizes, on this machine"


def test_reports_of_former_versions_say_of_growth_what_their_interval_does(reports):
    rows = [scaling(), scaling(low=-0.02, high=0.05), scaling(low=2.5, high=2.9, smallest="8x8x8"), scaling(low=None)]
    assert [a.verdict.removesuffix(", on this machine") for a in reports("image_size", scaling=rows)] == [
        "falls: time is not constant, but grows more slowly than the number of pixels", "holds",
        "falls: time is not constant, but grows more slowly than the number of voxels", "undecided",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.6, 0.8, "holds"), (0.4, 0.6, "undecided"), (0.2, 0.4, "falls")]
)
def test_the_spread_shows_errors_where_its_auroc_is_above_chance(reports, low, high, expected):
    row = {"dataset": "camus", "method": "ldseg", "steps": 2, "auroc": 0.5, "auroc_low": low, "auroc_high": high}
    more = {"dataset": "camus", "of": "AUROC of the SD − of 1 − confidence", "first": "ldseg-2", "second": None,
            "difference": -0.1, "difference_low": -0.2, "difference_high": 0.0, "margin": 0.01, "about": "methods",
            "verdict": "worse"}  # fmt: skip
    trials = [trial("ldseg", seed, dataset="camus") for seed in range(3)]
    first, second = reports("uncertainty", error_prediction_camus=[row], uncertainty_differences=[more], trials=trials)
    assert first.verdict == expected and first.compared == "AUROC of the spread of LDSeg, 2 steps"
    assert second.verdict == "falls, the other way round" and second.trainings == (3,)


@pytest.mark.parametrize(("seeds", "of"), [(1, ", of this training"), (2, ", of these trainings"), (3, "")])
def test_fewer_than_three_trainings_say_nothing_of_a_method(reports, seeds, of):
    row = {"dataset": "camus", "method": "ldseg", "steps": 2, "auroc": 0.7, "auroc_low": 0.6, "auroc_high": 0.8}
    # Each in two folds.
    trials = [trial("ldseg", seed, dataset="camus") for seed in range(seeds) for _ in range(2)]
    (found,) = reports("uncertainty", error_prediction_camus=[row], trials=trials)
    assert (found.verdict, found.trainings) == (f"holds{of}", (seeds,))


def test_no_spread_shows_nothing_and_a_training_that_collapsed_leaves_it_undecided(reports):
    row = {"dataset": "camus", "method": "ldseg", "steps": 2, "auroc": 0.5, "auroc_low": None, "auroc_high": None,
           "constant": True, "collapsed": False}  # fmt: skip
    fallen = row | {"auroc": 0.7, "auroc_low": 0.6, "auroc_high": 0.8, "constant": False, "collapsed": True}
    declined = {"dataset": "camus", "method": "SDF-DDPM", "note": "declined"}
    found = reports("uncertainty", error_prediction_camus=[row, fallen, declined])
    assert [a.verdict for a in found] == [
        "falls: there is no spread, of this training", "undecided, as a training collapsed, of this training",
    ]  # fmt: skip


def test_twins(reports):
    row = {"dataset": "glas", "method": "ldseg", "steps": 2, "twin": "ldseg_direct", "sigma": 0, "difference": 0.01,
           "difference_low": -0.01, "difference_high": 0.03, "margin": 0.01, "about": "methods",
           "verdict": "undecided"}  # fmt: skip
    noisy = row | {"sigma": 0.2}
    (found,) = reports("accuracy", twins=[row, noisy])
    assert (found.claim, found.verdict) == ("Diffusion itself contributes", "undecided")
    assert found.compared == "LDSeg, K = 2 − its twin without diffusion"


def test_reports_without_any_row_of_a_claim_make_no_table(tmp_path, reports):
    assert claims.table({"accuracy": [tmp_path]}) is None
    (tmp_path / "accuracy" / "tables").mkdir(parents=True)
    (tmp_path / "accuracy" / "tables" / "differences.csv").write_text("\n")
    assert claims.table({"accuracy": [tmp_path / "accuracy"]}) is None


def test_claims_that_nothing_answers_are_named(reports):
    found = reports("accuracy", differences=[difference("lsegdiff-10", 0.1, "better")])
    said = claims.unanswered(found)
    assert {name for name in TITLES if f"“{name}”" in said} == set(TITLES) - {a.claim for a in found}
    assert claims.unanswered([found[0]._replace(claim=name) for name in TITLES]) == ""


def test_two_reports_on_one_data_set_are_told_apart(tmp_path):
    for name, dataset in (("long", "glas"), ("short", "glas"), ("other", "camus")):
        (tmp_path / name / "accuracy" / "tables").mkdir(parents=True)
        rows = [difference("lsegdiff-10", 0.1, "better", dataset=dataset)]
        pd.DataFrame(rows).to_csv(tmp_path / name / "accuracy" / "tables" / "differences.csv", index=False)
    frame = claims.table({"accuracy": [tmp_path / name / "accuracy" for name in ("long", "short", "other")]}).frame
    assert frame["data set"].tolist() == ["glas (long/accuracy)", "glas (short/accuracy)", "camus"] * 2


def test_the_command_prints_the_claims_of_committed_reports_and_says_what_is_wrong(capsys, tmp_path):
    claims.main([str(ROOT / "docs" / "results")])
    table = capsys.readouterr().out.splitlines()[2:]
    assert {line.split("|")[1].strip() for line in table} == set(TITLES)
    claims.main([str(ROOT / "docs" / "results" / "hippocampus")])
    empty, said = capsys.readouterr().out.splitlines()[-2:]
    assert not empty and said.startswith("Nothing here answers “Two sampling steps are enough”")
    for wrong, said in (([], "one folder"), ([str(tmp_path)], "no report of")):
        with pytest.raises(SystemExit, match=said):
            claims.main(wrong)
