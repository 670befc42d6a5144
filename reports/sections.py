"""Sections that the reports of several suites have in common."""

from pathlib import Path

from benchmarks.store import Results
from reports import figure_training, style, trials, words
from reports.document import Block, Code, Figure, Heading, Paragraph
from reports.study import Study


def opening(it: Study) -> list[str]:
    suite = it.results.suite
    ok = sum(trial.status == "ok" for trial in it.results.trials)
    profiles = sorted({str(trial.config.get("profile")) for trial in it.results.trials if trial.config.get("profile")})
    counted = f"{words.plural(ok, 'trial')} of {len(it.results.trials)} ended well"
    if profiles:
        counted += f"; {words.plural(len(profiles), 'profile').split(' ', 1)[1]} `{'`, `'.join(profiles)}`"
    counted += ". Every record used is in `records.csv`, every table in `tables/`, every figure in `figures/`."
    return [text for text in (suite.get("question"), counted) if text]


def training(it: Study, looks, folder: Path) -> list[Block]:
    blocks: list[Block] = []
    by_method = {variant.method: look for variant, look in reversed(looks.items())}
    for dataset in it.datasets:
        methods = {}
        for trial in trials.of_dataset(it.results, dataset):
            if not trial.history.empty:
                look = by_method.get(trial.config["method"]["name"]) or style.Look("#555555", "o", style.SOLID)
                methods.setdefault(trial.label, (look, []))[1].append(trial)
        if methods:
            name = f"training_{dataset}"
            style.save(figure_training.draw(methods), folder, name)
            caption = f"{dataset}: training loss (each method's own, so not comparable) and validation DSC by step."
            alt = f"Training curves of {words.listing(list(methods))} on {dataset}."
            blocks.append(Figure(name, caption, alt))
    return [Heading("Training"), *blocks] if blocks else []


def commands(results: Results) -> list[Block]:
    suite = results.suite
    blocks: list[Block] = [Heading("Commands")]
    for text, key in (("Run again (what is in the store is not repeated):", "command"),
                      ("Redraw from the store, without training or data:", "redraw_command")):  # fmt: skip
        if suite.get(key):
            blocks += [Paragraph(text), Code(str(suite[key]), "sh")]
    return blocks if len(blocks) > 1 else []
