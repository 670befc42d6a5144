"""The settings table says what was in use."""

import json

from reports.sections import trials


def value(results, setting):
    table = trials.method_table(results).frame
    return table[table["setting"] == f"`{setting}`"]["value"].item()


def test_what_is_left_to_the_method_is_shown_with_the_value_in_use(fabricate):
    view = fabricate.trial("ldseg", sigmas=(0,), cases=3)
    content = json.loads((view.path / "config.json").read_text())
    content["method"] |= {"threshold": None, "preset": None, "width": 8}
    (view.path / "config.json").write_text(json.dumps(content))
    fabricate.trials = [type(view).load(view.path)]
    results = fabricate.results()
    assert value(results, "threshold") == "the method's own", "of a trial that did not keep it"
    (view.path / "settings.json").write_text(json.dumps({"threshold": 0.45}))
    assert [value(results, name) for name in ("threshold", "preset", "width")] == ["0.45", "none", "8"]
