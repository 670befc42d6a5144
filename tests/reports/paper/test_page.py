"""report.html in a browser: that it loads, sorts, enlarges, and can be read by everyone."""

import json

import pytest

from tests.reports.paper.conftest import NUMBERS, sources

pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.by import By  # noqa: E402  (after the check that it is there)
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402


def emulate(driver, media="screen", **features):
    named = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": named})


def column(driver, table, place):
    rows = driver.find_elements(By.CSS_SELECTOR, f"#{table} tbody tr")
    return [row.find_elements(By.TAG_NAME, "td")[place].text for row in rows]


def heads(driver, table):
    return driver.find_elements(By.CSS_SELECTOR, f"#{table} th button")


@pytest.mark.parametrize("name", ["report", "other", "volumes"])
def test_a_page_loads_without_an_error_and_without_any_request(page, name):
    driver = page(name)
    driver.find_element(By.ID, "dark").click()
    assert driver.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [url.split(":")[0] for url in asked if not url.startswith("data:")] == ["file"]
    script = "return [...document.images].filter(i => i.src && !(i.complete && i.naturalWidth)).length"
    assert driver.execute_script(script) == 0


def test_a_click_on_a_head_sorts_and_another_turns_the_order_round(page):
    driver = page("other")
    head = heads(driver, "table-n")[0]
    assert column(driver, "table-n", 0) == NUMBERS
    head.click()
    rising = ["−0.3", "12 ms", "0.9", "0.912 [0.9, 0.95]", "3 min 20 s", "–"]
    assert column(driver, "table-n", 0) == rising
    assert column(driver, "table-n", 1) == ["f", "a", "c", "d", "e", "b"], "rows stay together"
    assert head.find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    head.click()
    assert column(driver, "table-n", 0) == [*rising[4::-1], "–"]
    assert head.find_element(By.XPATH, "..").get_attribute("aria-sort") == "descending"


@pytest.mark.parametrize("key", [Keys.ENTER, Keys.SPACE])
def test_the_keyboard_sorts_and_only_one_column_is_said_to_be_sorted(page, key):
    driver = page("other")
    heads(driver, "table-n")[0].send_keys(key)
    heads(driver, "table-n")[0].send_keys(Keys.TAB)
    driver.switch_to.active_element.send_keys(key)
    assert column(driver, "table-n", 1) == list("abcdef")
    told = [th.get_attribute("aria-sort") for th in driver.find_elements(By.CSS_SELECTOR, "#table-n th")]
    assert told == ["none", "ascending"]


def test_tables_of_a_report_sort_by_the_unrounded_numbers(page):
    driver = page()
    head = driver.find_element(By.XPATH, "//figure[@id='table-cost']//th[starts-with(., 'time per image')]/button")
    place = driver.execute_script("return arguments[0].parentElement.cellIndex", head)
    head.click()
    rows = "[...document.querySelectorAll('#table-cost tbody tr')]"
    shown = driver.execute_script(f"return {rows}.map(row => Number(row.cells[{place}].dataset.sort))")
    assert len(shown) == 4 and shown == sorted(shown) and all(0.001 < value < 1 for value in shown)


def test_the_slider_changes_the_pictures_and_says_where_it_stands(page):
    driver = page()
    slider, status = (driver.find_element(By.CSS_SELECTOR, name) for name in (".position", ".status"))
    before = sources(driver)
    assert status.text == "phantom_glands, case000, σ = 0" and len(before) == 4
    slider.send_keys(Keys.ARROW_RIGHT)
    after = sources(driver)
    assert status.text == "phantom_glands, case000, σ = 0.1" and slider.get_attribute("aria-valuetext") == "σ = 0.1"
    assert all(one[0] != other[0] for one, other in zip(before, after)), "all inputs"
    assert before[1][1] == after[1][1], "the ground truth stays"
    assert all(one[1] != other[1] for one, other in zip(before[2:], after[2:])), "all predictions"
    slider.send_keys(Keys.END)
    assert status.text.endswith("σ = 0.2") and sources(driver) not in (before, after)
    slider.send_keys(Keys.HOME)
    assert sources(driver) == before
    pictures = "[...document.querySelectorAll('.tile img:not([hidden])')]"
    driver.execute_script(f"await Promise.all({pictures}.map(image => image.decode()))")
    assert driver.execute_script(f"return {pictures}.map(image => image.naturalWidth)") == [48] * 7


def test_another_case_changes_pictures_scores_and_legend(page):
    driver = page()
    choice = Select(driver.find_element(By.CSS_SELECTOR, ".case"))
    assert [group.get_attribute("label") for group in driver.find_elements(By.TAG_NAME, "optgroup")] == [
        "phantom_glands",
        "camus",
    ]
    before, legend = sources(driver), driver.find_element(By.CSS_SELECTOR, ".legend")
    notes = [note.text for note in driver.find_elements(By.CSS_SELECTOR, ".note")]
    assert (
        notes[0] == "σ = 0"
        and all(note.startswith("DSC 0.") for note in notes[2:])
        and "wrong class" not in legend.text
    )
    choice.select_by_index(5)
    assert driver.find_element(By.CSS_SELECTOR, ".status").text == "camus, case001, σ = 0"
    assert all(one != other for one, other in zip(before, sources(driver)))
    assert "wrong class" in legend.text and "correct LA" in legend.text
    assert [note.text for note in driver.find_elements(By.CSS_SELECTOR, ".note")] != notes


@pytest.mark.parametrize("selector", ["figure:not(.tile) > .enlarge", ".tile:nth-child(3) .enlarge"])
def test_a_figure_enlarges_and_escape_closes_it_and_gives_the_focus_back(page, selector):
    driver = page()
    button, dialog = driver.find_element(By.CSS_SELECTOR, selector), driver.find_element(By.ID, "enlarged")
    alts = [image.get_attribute("alt") for image in button.find_elements(By.TAG_NAME, "img")]
    assert not dialog.is_displayed()
    button.send_keys(Keys.ENTER)
    image = dialog.find_element(By.TAG_NAME, "img")
    assert dialog.is_displayed() and image.size["width"] > 1.5 * button.size["width"]
    assert [image.get_attribute("alt") for image in dialog.find_elements(By.TAG_NAME, "img")] == alts
    assert dialog.find_element(By.ID, "enlarged-caption").text and "CSV" not in dialog.text
    driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    WebDriverWait(driver, 2).until(lambda _: not dialog.is_displayed())
    assert driver.switch_to.active_element == button
    button.click()
    dialog.find_element(By.TAG_NAME, "button").click()
    assert not dialog.is_displayed()


def test_colours_follow_the_system_until_the_reader_chooses_and_the_choice_is_kept(page):
    driver = page()
    ground = "return getComputedStyle(document.documentElement).backgroundColor"
    light = driver.execute_script(ground)
    emulate(driver, prefers_color_scheme="dark")
    dark = driver.execute_script(ground)
    button = driver.find_element(By.ID, "dark")
    assert light != dark and button.get_attribute("aria-pressed") == "true"
    button.click()
    assert driver.execute_script(ground) == light and button.get_attribute("aria-pressed") == "false"
    driver.refresh()
    assert driver.execute_script(ground) == light
    driver.find_element(By.ID, "dark").click()
    assert driver.execute_script(ground) == dark


CONTRASTS = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d");
const rgb = (color) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const light = ([r, g, b]) => {
  const part = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const found = [];
for (const element of document.body.querySelectorAll("*")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!own || !element.checkVisibility() || ["SCRIPT", "OPTION"].includes(element.tagName)) continue;
  let behind = element;
  while (behind && rgb(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
  const [a, b] = [light(rgb(getComputedStyle(element).color)), light(rgb(getComputedStyle(behind).backgroundColor))];
  found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.tagName, element.textContent.slice(0, 30)]);
}
return found;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_a_contrast_of_at_least_four_and_a_half(page, scheme):
    driver = page()
    emulate(driver, prefers_color_scheme=scheme)
    found = driver.execute_script(CONTRASTS)
    assert len(found) > 100 and [it for it in found if it[0] < 4.5] == []


@pytest.mark.parametrize("name", ["report", "other"])
def test_pictures_have_alternatives_and_controls_have_names(page, name):
    driver = page(name)
    images = driver.find_elements(By.TAG_NAME, "img")
    assert images and all(image.get_dom_attribute("alt") is not None for image in images)
    for button in driver.find_elements(By.CSS_SELECTOR, ".enlarge"):
        images = [image for image in button.find_elements(By.TAG_NAME, "img") if image.is_displayed()]
        told = [image.get_dom_attribute("alt") for image in images]
        assert len([alt for alt in told if alt]) == 1, "of pictures laid over each other, one speaks for both"
    nodes = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = ("button", "link", "combobox", "slider", "region", "table", "navigation", "image")
    found = [
        (n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n["ignored"] and "role" in n
    ]
    controls = [(role, text) for role, text in found if role in roles]
    assert {"button", "link", "table", "navigation"} <= {role for role, _ in controls}
    assert [role for role, text in controls if not text.strip()] == []
    if name == "report":
        assert ("slider", "Noise σ") in controls and ("combobox", "Test case") in controls


def test_a_screen_reader_finds_landmarks_and_headings_in_order(page):
    driver = page()
    for landmark in ("header", "nav", "main"):
        assert len(driver.find_elements(By.TAG_NAME, landmark)) == 1
    levels = driver.execute_script(
        "return [...document.querySelectorAll('h1,h2,h3,h4')].map(h => Number(h.tagName[1]))"
    )
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))
    assert driver.find_element(By.CSS_SELECTOR, ".status").get_attribute("role") == "status"


def test_the_first_stop_of_the_keyboard_skips_to_the_report(page):
    driver = page()
    driver.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    skip = driver.switch_to.active_element
    assert skip.text == "Skip to the report" and skip.rect["x"] >= 0
    outline = driver.execute_script("return getComputedStyle(arguments[0]).outlineStyle", skip)
    assert outline == "solid"
    skip.send_keys(Keys.ENTER)
    assert driver.switch_to.active_element.tag_name == "main"


@pytest.mark.parametrize("name", ["report", "other"])
def test_on_a_narrow_screen_only_tables_are_wider_and_move_in_their_own_box(page, name):
    driver = page(name, width=400)
    assert driver.execute_script("return document.documentElement.scrollWidth") == 400
    boxes = driver.find_elements(By.CSS_SELECTOR, ".scroll")
    wide = [
        box for box in boxes if driver.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth", box)
    ]
    assert wide and all((box.get_attribute("tabindex") == "0") == (box in wide) for box in boxes)
    wide[0].send_keys(Keys.ARROW_RIGHT)
    WebDriverWait(driver, 3).until(lambda _: driver.execute_script("return arguments[0].scrollLeft", wide[0]) > 0)


def test_on_paper_there_are_no_controls_and_dark_text_on_white(page):
    driver = page()
    emulate(driver, "print", prefers_color_scheme="dark")
    for name in ("nav", "#dark", ".filter", ".controls", ".skip", ".links", ".value"):
        assert not driver.find_element(By.CSS_SELECTOR, name).is_displayed(), name
    colours = "const s = getComputedStyle(document.documentElement); return [s.backgroundColor, s.colorScheme]"
    assert driver.execute_script(colours) == ["rgb(255, 255, 255)", "light"]


def test_a_moving_figure_stands_still_when_it_is_stopped_or_motion_is_unwanted(page):
    driver = page("other")
    image, button = (driver.find_element(By.CSS_SELECTOR, name) for name in ("#animation-noise img", ".pause"))
    assert image.get_attribute("src").startswith("data:image/gif") and button.text == "Pause figure 1"
    button.click()
    assert image.get_attribute("src").startswith("data:image/webp") and button.get_attribute("aria-pressed") == "true"
    button.click()
    assert image.get_attribute("src").startswith("data:image/gif")
    emulate(driver, prefers_reduced_motion="reduce")
    driver.refresh()
    assert (
        driver.find_element(By.CSS_SELECTOR, "#animation-noise img").get_attribute("src").startswith("data:image/webp")
    )
