"""What a reader must know of the data before any number: patients in training and test, cross-validation, records of
former versions."""

from benchmarks.store.results import Results
from reports.numbers.curves import dataset_order
from reports.paper import words
from reports.sections.trials import of_dataset


def warnings(results: Results) -> list[str]:
    """A sentence for each data set whose split shares patients between training and test, and one on records that lack
    what is measured now."""
    said = []
    for dataset in dataset_order(results):
        data = next((trial.config.dataset for trial in of_dataset(results, dataset)), None)
        if data is not None and data.shared:
            said.append(
                f"**{dataset}: training and test share patients.** The official split, which is kept here, has the "
                f"patients of {data.shared} of its {words.plural(data.cases['test'], 'test image')} in training or "
                f"validation as well, so scores say how well methods do on further images of known patients. "
                f"`dataset.{dataset}.split=patients` splits by patient."
            )
    return [*said, *_folds(results), *_former(results)]


def _folds(results: Results) -> list[str]:
    """Said of a cross-validation, and of the folds that have no result."""
    said = []
    for dataset in dataset_order(results):
        found = [trial for trial in of_dataset(results, dataset) if trial.config.dataset.fold]
        if not found:
            continue
        folds = found[0].config.dataset.fold[1]
        said.append(
            f"**{dataset}: cross-validation in {folds} folds by patient.** Every case was tested once a seed, by the "
            "training that had not seen its patient, and the cases of all folds are pooled: what is called a training "
            f"below are {folds} of them, one a fold. Intervals take the folds as independent, though they share "
            "training cases, so they are too short (Bengio and Grandvalet, 2004)."
        )
        if dataset in {where for where, _ in results.selection}:
            said.append(
                f"{dataset}: the numbers of sampling steps were chosen on the validation cases of all folds together, "
                "which other folds test; `suite.steps=null` takes each method's own instead."
            )
        missing = [trial.config.name for trial in found if trial.status in ("failed", "stopped", "unfinished")]
        if missing:
            said.append(
                f"**{dataset}: {words.plural(len(missing), 'fold')} without a result** ({words.listing(missing)}): "
                "means of these methods lack their patients, and comparisons are of the patients that both have."
            )
    return said


def _former(results: Results) -> list[str]:
    """Said of records from before distances had a unit."""
    records = results.records
    if "dsc" not in records or not len(records):
        return []
    former = records[records["dsc"].notna() & (records["unit"].isna() if "unit" in records else True)]
    if not len(former):
        return []
    names = words.listing(sorted(former["dataset"].astype(str).unique()))
    return [
        f"{words.plural(len(former), 'record')} of {names} {'is' if len(former) == 1 else 'are'} of a former version, "
        "which scored 2D images on the grid that methods work on, without NSD, penalised distances and object scores: "
        "their tables and columns are left out. Running the suite again adds them, with the stored weights."
    ]
