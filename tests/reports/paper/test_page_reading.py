"""report.html in a browser: what its readers do with tables, figures and test cases."""

import json
import re

import pandas as pd
import pytest

from tests.reports.paper.conftest import sources

pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.by import By  # noqa: E402  (after the check that it is there)
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402


def chosen(driver, *labels):
    """Leave these methods of the filter, and no others."""
    driver.execute_script("document.querySelector('.filter').open = true")
    driver.find_element(By.CSS_SELECTOR, ".filter .none").click()
    for box in driver.find_elements(By.CSS_SELECTOR, ".filter label"):
        if box.text in labels:
            box.find_element(By.TAG_NAME, "input").click()


def visible(driver, table):
    """Heads and rows of a table that are shown, as text."""
    script = """
    const shown = (cells) => [...cells].filter((cell) => cell.checkVisibility()).map((cell) => cell.innerText.trim());
    const rows = [...document.getElementById(arguments[0]).querySelector('table').rows];
    return rows.filter((row) => row.checkVisibility()).map((row) => shown(row.cells));
    """
    return driver.execute_script(script, table)


def test_the_filter_leaves_rows_columns_and_pictures_of_the_chosen_methods(page):
    driver = page("volumes")
    status = driver.find_element(By.CSS_SELECTOR, ".filter [role=status]")
    everything = visible(driver, "table-accuracy_camus")
    assert status.text == "everything is shown" and len(everything) == 4
    chosen(driver, "LDSeg", "U-Net")
    assert status.text == "2 of 3 methods"
    names = ["LDSeg (2 steps)", "U-Net"]
    assert sorted(row[1] for row in visible(driver, "table-accuracy_camus")[1:]) == names
    assert sorted(visible(driver, "table-pairs_camus")[0]) == [*names, "method"], "columns, too"
    assert {row[1] for row in visible(driver, "table-differences")[1:]} == {"LDSeg (2 steps) − U-Net"}
    assert visible(driver, "table-data_sets") and len(visible(driver, "table-environment")) > 2, "about no method"
    titles = [
        tile.text.splitlines()[0] for tile in driver.find_elements(By.CSS_SELECTOR, ".tile") if tile.is_displayed()
    ]
    assert titles == ["Input", "Ground truth", *names]
    chosen(driver)
    note = driver.find_element(By.CSS_SELECTOR, "#table-accuracy_camus .nothing")
    assert note.is_displayed() and len(visible(driver, "table-accuracy_camus")) == 1
    driver.find_element(By.CSS_SELECTOR, ".filter .all").click()
    assert visible(driver, "table-accuracy_camus") == everything and not note.is_displayed()


def test_the_filter_leaves_one_class(page):
    driver = page("volumes")
    driver.execute_script("document.querySelector('.filter').open = true")
    assert {row[1] for row in visible(driver, "table-classes_camus")[1:]} == {
        "LV",
        "wall",
        "LA",
        "pooled",
        "mean over classes",
    }
    Select(driver.find_element(By.CSS_SELECTOR, ".filter select")).select_by_visible_text("wall")
    assert driver.find_element(By.CSS_SELECTOR, ".filter [role=status]").text == "class wall"
    assert {row[1] for row in visible(driver, "table-classes_camus")[1:]} == {"wall"}
    heads = [head.split("\n")[0].rstrip(" ↕") for head in visible(driver, "table-accuracy_camus")[0]]
    assert "DSC wall" in heads and "DSC pooled" not in heads and "DSC LV" not in heads and "IoU pooled" in heads


def test_the_keyboard_filters(page):
    driver = page("volumes")
    summary = driver.find_element(By.CSS_SELECTOR, ".filter summary")
    summary.send_keys(Keys.ENTER)
    driver.find_element(By.CSS_SELECTOR, ".filter input").send_keys(Keys.SPACE)
    assert driver.find_element(By.CSS_SELECTOR, ".filter [role=status]").text == "2 of 3 methods"


def values(driver, figure):
    """(shown line of text, whether the mark is shown, where it lies as shares of the picture)."""
    script = """
    const figure = document.getElementById(arguments[0]);
    const [mark, image] = [figure.querySelector('.mark'), figure.querySelector('img').getBoundingClientRect()];
    const place = mark.getBoundingClientRect();
    const across = (place.x + place.width / 2 - image.x - 8) / (image.width - 16);
    const down = (place.y + place.height / 2 - image.y - 8) / (image.height - 16);
    return [figure.querySelector('.value').textContent, !mark.hidden, across, down];
    """
    return driver.execute_script(script, figure)


def test_a_figure_says_the_value_under_the_pointer(page, files):
    driver = page("volumes", height=2000)
    figure = driver.find_element(By.ID, "figure-dsc_by_method")
    driver.execute_script("arguments[0].scrollIntoView()", figure)
    hint, shown, *_ = values(driver, "figure-dsc_by_method")
    assert "arrow keys" in hint and not shown
    numbers = pd.read_csv(files["volumes"].parent / "figures" / "dsc_by_method.csv").set_index("method")["dsc"]
    lines = json.loads(figure.find_element(By.CSS_SELECTOR, "script").get_attribute("textContent"))["lines"]
    (line,) = [line for line in lines if "U-Net" == line["points"][0][3]]
    across, down, *_ = line["points"][0]
    box = "const r = arguments[0].getBoundingClientRect(); return [r.x + 8, r.y + 8, r.width - 16, r.height - 16]"
    x, y, width, height = driver.execute_script(box, figure.find_element(By.TAG_NAME, "img"))
    move = {"type": "mouseMoved", "x": x + across * width + 3, "y": y + down * height - 3}
    driver.execute_cdp_cmd("Input.dispatchMouseEvent", move)
    said, shown, *where = values(driver, "figure-dsc_by_method")
    assert shown and where == pytest.approx([across, down], abs=0.01)
    assert said == f"camus: mean DSC {numbers['unet']:.4g}, U-Net"
    driver.execute_cdp_cmd("Input.dispatchMouseEvent", move | {"x": 2, "y": 2})
    assert values(driver, "figure-dsc_by_method")[:2] == [hint, False]


def test_arrow_keys_read_the_values_of_a_curve_one_after_the_other(page):
    driver = page()
    button = driver.find_element(By.CSS_SELECTOR, "#figure-dsc_by_sigma .enlarge")
    said = []
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ARROW_DOWN):
        button.send_keys(key)
        said.append(values(driver, "figure-dsc_by_sigma")[0])
    assert said[0].startswith("phantom_glands: LDSeg") and said[0] == said[2] != said[1] and "Res-UNet" in said[3]
    assert driver.find_element(By.CSS_SELECTOR, "#figure-dsc_by_sigma .value").get_attribute("role") == "status"
    button.send_keys(Keys.ENTER)
    driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert driver.find_element(By.ID, "enlarged-value").text == said[0], "in the enlarged picture, too"


def test_the_slices_of_a_volume_are_leafed_through(page):
    driver = page("volumes")
    slider, status = (driver.find_element(By.CSS_SELECTOR, name) for name in (".slice", ".status"))
    assert slider.is_displayed() and not driver.find_element(By.CSS_SELECTOR, ".position").is_displayed()
    before, place = sources(driver), int(slider.get_attribute("value"))
    assert f", {slider.get_attribute('aria-valuetext')}" in status.text
    slider.send_keys(Keys.ARROW_RIGHT)
    assert int(slider.get_attribute("value")) == place + 1 and "slice " in status.text
    assert all(one[0] != other[0] for one, other in zip(before, sources(driver)))
    slider.send_keys(Keys.HOME)
    assert re.search(r"slice \d+ of \d+$", status.text)
    slider.send_keys(Keys.END)
    last = status.text
    Select(driver.find_element(By.CSS_SELECTOR, ".case")).select_by_index(1)
    assert status.text != last, "another case begins at its own first slice"


def test_images_have_no_slider_of_slices(page):
    assert not page().find_element(By.CSS_SELECTOR, ".slice").is_displayed()


def test_a_case_of_the_table_opens_its_pictures_and_the_keyboard_goes_with_it(page):
    driver = page()
    rows = driver.find_elements(By.CSS_SELECTOR, "#table-cases_camus tbody tr")
    buttons = driver.find_elements(By.CSS_SELECTOR, "#table-cases_camus .open")
    assert len(rows) == 6 and len(buttons) == 4
    name = buttons[2].text
    buttons[2].send_keys(Keys.ENTER)
    assert driver.find_element(By.CSS_SELECTOR, ".status").text == f"camus, {name}, σ = 0"
    choice = driver.find_element(By.CSS_SELECTOR, ".case")
    assert driver.switch_to.active_element == choice and Select(choice).first_selected_option.text == name
    assert 0 <= driver.execute_script("return arguments[0].getBoundingClientRect().y", choice) < 400


def test_numbers_are_saved_from_the_page_itself(page, files, tmp_path):
    driver = page("volumes")
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    for link in ("#table-accuracy_camus .links a", "#figure-dsc_by_method a[download]"):
        driver.find_element(By.CSS_SELECTOR, link).send_keys(Keys.ENTER)
    held = {"accuracy_camus.csv": "tables", "dsc_by_method.csv": "figures"}
    WebDriverWait(driver, 10).until(lambda _: all((tmp_path / name).exists() for name in held))
    for name, folder in held.items():
        assert (tmp_path / name).read_text() == (files["volumes"].parent / folder / name).read_text()


def test_the_column_of_the_methods_stays_in_view(page):
    driver = page("volumes", width=390)
    cell = driver.find_element(By.CSS_SELECTOR, "#table-accuracy_camus tbody td.sticky")
    box = driver.find_element(By.CSS_SELECTOR, "#table-accuracy_camus .scroll")
    driver.execute_script("arguments[0].scrollLeft = 400", box)
    x = "return arguments[0].getBoundingClientRect().x"
    assert driver.execute_script(x, cell) == pytest.approx(driver.execute_script(x, box), abs=1)
