"""Sections that the reports of several suites have in common."""

from pathlib import Path

from benchmarks.store.results import Results
from reports.numbers import limits, statistics
from reports.numbers.curves import Variant
from reports.numbers.hypotheses import ALPHA
from reports.numbers.study import Study, comparisons
from reports.paper import style, words
from reports.paper.document import Block, Bullets, Code, Figure, Heading, Paragraph
from reports.paper.style import Look
from reports.sections import groups, training_figure, trials
from reports.sections.score_tables import held_against, so_far


def intervals(units: str) -> str:
    """What every report says of its intervals. units: what groups of cases are, as of `Study.units`."""
    return (
        f"Intervals are of 95 %. Where a method was trained with {statistics.MIN_SEEDS} seeds or more, an interval "
        f"holds the variance of {units} (bootstrap-t, {limits.RESAMPLES} resamples) and of training (Student's t), and "
        f"it speaks of the method; with fewer it is a bootstrap-t over {units} alone and speaks of these trainings. "
        f"The more of the {units}, from a quarter to a half, have the same score, the more it allows for scores that "
        f"were not seen (Gaffke's limits). None is given below {statistics.MIN_GROUPS} {units}. Thresholds, which have "
        "no standard error, have percentile intervals, widened as Student's t is."
    )


def opening(it: Study) -> list[str]:
    """What the suite asks, and how many of its trials ended well."""
    suite = it.results.suite
    ok = sum(trial.status == "ok" for trial in it.results.trials)
    profiles = sorted({str(trial.config.profile) for trial in it.results.trials if trial.config.profile})
    counted = f"{words.plural(ok, 'trial')} of {len(it.results.trials)} ended well"
    if profiles:
        counted += f"; {words.plural(len(profiles), 'profile').split(' ', 1)[1]} `{'`, `'.join(profiles)}`"
    counted += ". Every record used is in `records.csv`, every table in `tables/`, every figure in `figures/`."
    engine = suite.get("inference") and f"Networks were evaluated by `{suite['inference']}`, not by PyTorch in float32."
    return [text for text in (suite.get("question"), *groups.warnings(it.results), engine, counted) if text]


def training(it: Study, looks: dict[Variant, Look], folder: Path) -> list[Block]:
    """Training curves of every data set, drawn into `folder`/figures; nothing where none were recorded."""
    blocks: list[Block] = []
    by_method = {variant.method: look for variant, look in reversed(looks.items())}
    for dataset in it.datasets:
        methods = {}
        for trial in trials.of_dataset(it.results, dataset):
            if not trial.history.empty:
                look = by_method.get(trial.config.method.name) or style.Look("#555555", "o", style.SOLID)
                methods.setdefault(trial.label, (look, []))[1].append(trial)
        if methods:
            name = f"training_{dataset}"
            style.save(training_figure.draw(methods), folder, name)
            caption = f"{dataset}: training loss (each method's own, so not comparable) and validation DSC by step."
            alt = f"Training curves of {words.listing(list(methods))} on {dataset}."
            blocks.append(Figure(name, caption, alt, training_figure.numbers(methods)))
    return [Heading("Training"), *blocks] if blocks else []


def commands(results: Results) -> list[Block]:
    """How to run the suite again and how to redraw its report; nothing where that is not known."""
    suite = results.suite
    blocks: list[Block] = [Heading("Commands")]
    for text, key in (("Run again (what is in the store is not repeated):", "command"),
                      ("Redraw from the store, without training or data:", "redraw_command")):  # fmt: skip
        if suite.get(key):
            blocks += [Paragraph(text), Code(str(suite[key]), "sh")]
    return blocks if len(blocks) > 1 else []


def notes(it: Study, first: list[str]) -> list[Block]:
    """How things were measured: what is said of every suite after what the suite itself says `first`."""
    items = [
        *first,
        f"The unit of analysis is the {it.unit()}: scores are averaged over the cases of one {it.unit()}, and every "
        f"{it.unit()} weighs the same. {intervals(it.units())}",
    ]
    unknown = [dataset for dataset in it.datasets if it.curves[dataset] and it.unit(dataset) == "image"]
    if unknown:
        items.append(
            f"Whose the images of {words.listing(unknown)} are, nobody knows: every image counts for itself, and "
            "intervals are too short if several are of one person."
        )
    if any(comparisons(it, dataset) for dataset in it.datasets):
        items.append(
            "Differences are taken on the same cases. A method is better or worse when the interval of the difference "
            f"does not contain 0 and the test, after Holm's correction, is below {ALPHA:g}."
            f"{so_far(it.margin, it.unit())} Two are equivalent when it lies "
            f"within {it.margin.within:g} DSC (`suite.margin`), a margin that was declared before"
            f"{held_against(it.margin, it.unit())}; else undecided, with the smallest true difference that a "
            "repetition finds with a probability of 80 %. docs/statistics.md explains every number."
        )
    items += [
        "Every case is scored on its own grid: probabilities are resampled to it before the most probable class is "
        "taken. Pooled: overlap and surface counts are summed over the foreground classes of a case; distances are the "
        "mean over classes, undefined where one of them is. Mean over classes: the plain mean of the classes' scores "
        "of a case; a prediction without any foreground has its pooled score.",
        "Weights are selected by the best validation DSC on undisturbed images, by the same rule for every method.",
        "`steps` counts the times at which a generative method is sampled, the first being T\u22121. With the cosine "
        "schedule of latent diffusion the last is 0, where a call would change nothing and is not made: K steps are "
        "K\u22121 network evaluations (NFE). With the linear schedule of the pixel-space methods they are K.",
        "Training counts as not converged when the best validation DSC of its last fifth exceeds the best before by "
        "more than 0.01.",
    ]
    return [Heading("How it was measured"), Bullets(tuple(items))]
