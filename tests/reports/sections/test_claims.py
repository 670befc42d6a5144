"""What reports say of a publication's claims: which rows answer which claim, and what verdict follows."""

from pathlib import Path

import pandas as pd
import pytest

from reports.sections import claims

ROOT = Path(__file__).parents[3]
TITLES = {one["claim"]: one for one in claims.load()["claims"]}


def difference(second, value, verdict, first="ldseg-2", of="dsc at sigma 0", about="methods", dataset="glas"):
    """A row of tables/differences.csv, with an interval of 0.02."""
    return {"dataset": dataset, "first": first, "second": second, "of": of, "difference": value, "low": value - 0.01,
            "high": value + 0.01, "margin": 0.01, "about": about, "verdict": verdict}  # fmt: skip


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
    assert found.compared == "LDSeg, K = 2 − Res-UNet, the best of its rivals"
    assert (found.value, found.low, found.high) == pytest.approx((-0.1, -0.11, -0.09))
    assert found.verdict == "falls: worse than 2 of 3, better than 1" and found.trainings == (3, 1)
    assert found.published == "+0.05"  # 0.91 and 0.86 in table II


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["better", "better"], "holds"),
        (["better", "better so far"], "holds so far"),
        (["better", "undecided"], "undecided: worse than 0 of 2, better than 1"),
        (["not worse", "equivalent"], "undecided: worse than 0 of 2, better than 0"),
    ],
)
def test_the_most_accurate_needs_to_be_better_than_every_rival(reports, verdicts, expected):
    rows = [difference(name, 0.1, verdict) for name, verdict in zip(("unet", "vnet"), verdicts)]
    (found,) = (a for a in reports("accuracy", differences=rows) if "most accurate" in a.claim)
    assert found.verdict == expected


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


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [("better", "holds"), ("equivalent", "holds"), ("not worse", "holds"), ("worse", "falls"),
     ("worse so far", "falls so far"), ("not better", "undecided"), ("undecided", "undecided")],
)  # fmt: skip
def test_two_steps_are_enough_where_they_are_not_worse(reports, verdict, expected):
    row = {"dataset": "glas", "method": "ldseg", "fewest": 2, "most": 100, "difference": 0.01, "difference_low": 0.0,
           "difference_high": 0.02, "about": "methods", "verdict": verdict}  # fmt: skip
    others = [row | {"method": "lsegdiff"}, row | {"fewest": 5}]
    (found,) = reports("sampling_steps", fewest_against_most=[row, *others])
    assert (found.verdict, found.low, found.compared) == (expected, 0.0, "LDSeg, 2 − 100 steps")


def test_robustness_is_of_the_loss_not_of_the_score(reports):
    rows = [difference("resunet", -0.2, "worse", of="dsc at sigma 0.2"),
            difference("resunet", 0.3, "better", of="change of dsc from sigma 0 to 0.2"),
            difference("resunet", 0.1, "better", of="change of dsc from sigma 0 to 0.1")]  # fmt: skip
    (found,) = reports("noise_robustness", differences=rows)
    assert (found.value, found.verdict) == (0.3, "holds")


@pytest.mark.parametrize(
    ("said", "expected"),
    [("is practically constant", "holds"), ("cannot be told from a constant", "undecided"),
     ("grows like the number of pixels", "falls: grows like the number of pixels"), ("", "undecided")],
)  # fmt: skip
def test_growth_with_the_image(reports, said, expected):
    row = {"dataset": "phantom_glands", "method": "ldseg", "steps": 50, "smallest": "64x64", "largest": "256x256",
           "exponent": 0.6, "low": 0.5, "high": 0.7, "verdict": said}  # fmt: skip
    (found,) = reports("image_size", scaling=[row])
    assert found.verdict == expected and found.trainings == ()


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


def test_twins(reports):
    row = {"dataset": "glas", "method": "ldseg", "steps": 2, "twin": "ldseg_direct", "sigma": 0, "difference": 0.01,
           "difference_low": -0.01, "difference_high": 0.03, "margin": 0.01, "about": "methods",
           "verdict": "undecided"}  # fmt: skip
    noisy = row | {"sigma": 0.2}
    (found,) = reports("accuracy", twins=[row, noisy])
    assert (found.claim, found.verdict) == ("Diffusion itself contributes", "undecided")


def test_reports_without_any_row_of_a_claim_make_no_table(tmp_path):
    assert claims.table({"accuracy": [tmp_path]}) is None


def test_the_command_prints_the_claims_of_committed_reports_and_says_what_is_wrong(capsys, tmp_path):
    claims.main([str(ROOT / "docs" / "results")])
    lines = capsys.readouterr().out.splitlines()
    assert {line.split("|")[1].strip() for line in lines[2:]} <= set(TITLES) and len(lines) > 10
    for wrong, said in (([], "one folder"), ([str(tmp_path)], "no report of")):
        with pytest.raises(SystemExit, match=said):
            claims.main(wrong)
