"""What a change did to every method: differences around zero."""

from matplotlib.figure import Figure

from reports.numbers.curves import Variant
from reports.paper import words
from reports.paper.style import WIDTH, Look
from reports.suites.compare.changes import Change


def draw(panels: dict[str, list[Change]], names: dict[Variant, str], looks: dict[Variant, Look]) -> Figure:
    """One panel per data set, below each other, on one axis: right of zero is better after than before."""
    several = any(len({change.sigma for change in changed}) > 1 for changed in panels.values())
    labels = {
        dataset: [names[c.after.variant] + (f", σ = {c.sigma:g}" if several else "") for c in changed]
        for dataset, changed in panels.items()
    }
    left, right, row, head, foot = 0.3, 1.55, 0.22, 0.3, 0.48
    left += 0.061 * max(len(label) for found in labels.values() for label in found)
    heights = [row * len(changed) + 0.15 for changed in panels.values()]
    total = sum(heights) + (head + foot) * len(panels)
    ends = [
        abs(end) for changed in panels.values() for c in changed
        for end in (c.estimate.value, c.estimate.low, c.estimate.high) if end is not None
    ]  # fmt: skip
    # Stores that agree are not blown up: the axis spans at least 0.01 on either side.
    reach = 1.08 * max(0.01, *ends)
    figure = Figure(figsize=(WIDTH, total))
    top = total
    for (dataset, changed), height in zip(panels.items(), heights):
        bottom = top - head - height
        ax = figure.add_axes([left / WIDTH, bottom / total, (WIDTH - left - right) / WIDTH, height / total])
        top = bottom - foot
        ax.axvline(0, color="#555555", linewidth=0.9, zorder=1)
        for place, change in enumerate(changed):
            estimate, look = change.estimate, looks[change.after.variant]
            if estimate.has_interval:
                ax.plot([estimate.low, estimate.high], [place, place], color=look.color, linewidth=2.2, alpha=0.55)
            ax.plot(estimate.value, place, markersize=6.5, **look.point)
            ax.annotate(
                words.with_interval(estimate, write=words.signed), (1, place), xycoords=("axes fraction", "data"),
                xytext=(6, 0), textcoords="offset points", va="center", fontsize=7.5,
            )  # fmt: skip
        ax.set_yticks(range(len(changed)), labels[dataset])
        ax.set_ylim(len(changed) - 0.4, -0.6)
        ax.set_xlim(-reach, reach)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="y", visible=False)
        ax.set_title(dataset, loc="left")
        ax.set_xlabel("mean DSC after \u2212 before")
    return figure
