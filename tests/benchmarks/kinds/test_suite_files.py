"""Files of conf/suite/ that are wrong: one line that names the file or key, exit status 2, nothing done."""

import shutil

import pytest

import run_bench
from benchmarks.plan import configuration

GOOD = {
    "name": "mine", "title": "Mine", "question": "What?", "version": "1", "kind": "trials", "methods": "[resunet]",
    "datasets": "[phantom_glands]", "seeds": "[0]", "sigmas": "[0]", "steps": "null", "sampler": "null", "eta": "null",
    "ensemble": "null",
}  # fmt: skip


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """What the command says of conf/suite/mine.yaml with other values, and that nothing was computed."""
    shutil.copytree(configuration.CONF, tmp_path / "conf")
    monkeypatch.setattr(configuration, "CONF", tmp_path / "conf")
    monkeypatch.setattr("benchmarks.kinds.everything.CONF", tmp_path / "conf")

    def run(text=None, **changes):
        lines = (f"{key}: {value}\n" for key, value in {**GOOD, **changes}.items() if value is not None)
        (tmp_path / "conf/suite/mine.yaml").write_text("".join(lines) if text is None else text)
        status = run_bench.main(["suite=mine", "profile=tiny", "tracking=none", f"paths.runs={tmp_path / 'runs'}"])
        assert status == 2 and not (tmp_path / "runs/trials").exists()
        return " ".join(capsys.readouterr().err.split())

    return run


@pytest.mark.parametrize("name", ["../trials", "accuracy", "5", "null", None])
def test_a_suite_has_the_name_of_its_file(said, name):
    assert "conf/suite/mine.yaml: name is" in said(name=name) and "expected mine" in said(name=name)


@pytest.mark.parametrize("text", ["", "3\n", "[a]\n", "name: [\n"])
def test_a_file_without_settings_is_named(said, text):
    text = said(text)
    assert "conf/" in text or "mine" in text


@pytest.mark.parametrize(
    "key, value",
    [
        ("sigmas", "0.1"), ("sigmas", "null"), ("sigmas", "abc"), ("sigmas", "[true]"), ("sigmas", "[]"),
        ("steps", "3"), ("steps", "'10'"), ("steps", "[]"), ("eta", "x"), ("ensemble", "1.5"), ("seeds", "a"),
        ("title", "3"), ("question", "null"), ("report", "7"), ("margin", "-0.01"), ("margin", "2"), ("margin", "a"),
        ("unseen_failure", "-0.1"), ("unseen_failure", "1.5"), ("unseen_failure", "null"), ("unseen_failure", "true"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_named_with_what_was_expected(said, key, value):
    text = said(**{key: value})
    assert key in text and "expected" in text


@pytest.mark.parametrize("report", ["runtime", "uncertainty", "all", "compare", "data_overview", "diffusion_process"])
def test_a_report_of_another_kind_is_refused(said, report):
    assert f"'{report}' is a report that cannot show a suite of kind trials" in said(report=report)


@pytest.mark.parametrize("pictures", ["a", "-1", "null", "1.5"])
def test_numbers_of_pictures_are_checked(said, pictures):
    assert "suite.pictures=" in said(kind="overview", methods="[]", pictures=pictures)


@pytest.mark.parametrize(
    "suites, left_out, words",
    [
        ("null", "{}", "suite.suites=None"), ("[]", "{}", "suite.suites=[]"),
        ("[all]", "{}", "'all' is no single suite"),
        ("[mine]", "{}", "'mine' is no single suite"), ("[accuracy]", "null", "suite.left_out=None"),
        ("[accuracy]", "{accuracy: 3}", "suite.left_out="), ("[accuracy]", "{nope: [methods]}", "'nope' is not known"),
    ],
)  # fmt: skip
def test_a_suite_of_suites_names_single_ones(said, suites, left_out, words):
    more = dict.fromkeys(("sampler", "eta", "ensemble"))
    text = said(kind="all", methods="[]", datasets="[]", sigmas="[]", suites=suites, left_out=left_out, **more)
    assert words in text


def test_an_executor_that_is_none_is_refused(said, tmp_path):
    for target in ("nope.X", "pathlib.Path"):
        (tmp_path / "conf/executor/local.yaml").write_text(f"_target_: {target}\n")
        assert f"executor._target_={target}" in said()
