"""What a reader must know of the data before any number: patients in training and test, records of former versions."""

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
    return [*said, *_former(results)]


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
