"""Pages in one headless Chromium for all tests of a module."""

import shutil

import pandas as pd
import pytest
from PIL import Image

from reports import write
from reports.paper import html
from reports.paper.document import Animation, Document, Heading, Table
from tests.reports.conftest import Fabricator

FLAGS = (
    "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
    "disable-component-update", "disable-sync", "disable-dev-shm-usage", "hide-scrollbars",
)  # fmt: skip
NUMBERS = ["0.9", "12 ms", "–", "−0.3", "3 min 20 s", "0.912 [0.9, 0.95]"]
WIDE = pd.DataFrame({f"column {k}": ["b", "a"] for k in range(40)})


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver")
    names = ("chromium", "chromium-browser", "google-chrome")
    binary = next((path for name in names if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no Chromium with its driver is here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield session
    session.quit()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A report with two data sets, and a document with what that report has not."""
    folder = tmp_path_factory.mktemp("pages")
    fabricate = Fabricator(folder / "runs")
    for dataset in ("phantom_glands", "camus"):
        for method in ("ldseg", "resunet"):
            fabricate.trial(method, dataset, sigmas=(0, 0.1, 0.2), cases=6, steps=(2,), size=(32, 48))
    volumes = Fabricator(folder / "volumes")
    for method in ("ldseg", "resunet", "unet"):
        volumes.trial(method, "camus", sigmas=(0,), cases=6, steps=(2,), size=(16, 24, 20))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reports.paper.style.DPI", 40)
        write(fabricate.results(), folder / "report")
        write(volumes.results(name="accuracy"), folder / "volumes")
    other = folder / "other"
    (other / "figures").mkdir(parents=True)
    frames = [Image.new("RGB", (64, 48), color) for color in ("red", "blue")]
    frames[0].save(other / "figures" / "noise.gif", save_all=True, append_images=frames[1:], duration=50, loop=0)
    document = Document(
        "Other", [Heading("Tables"), Table("n", "N.", pd.DataFrame({"x": NUMBERS, "y": list("cabfed")}))]
    )
    document.add(Table("wide", "Wide.", WIDE), Animation("noise", "Noise.", "red, then blue"))
    (other / "other.html").write_text(html.render(document, other))
    return {
        "report": folder / "report" / "report.html", "other": other / "other.html",
        "volumes": folder / "volumes" / "report.html",
    }  # fmt: skip


@pytest.fixture
def page(chromium, files):
    """Opens a page anew, in light colours and a wide window."""

    def opened(name="report", width=1300, height=900):
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen", "features": light})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        chromium.get("about:blank")
        chromium.get(files[name].as_uri())
        chromium.execute_script("localStorage.clear()")
        for log in ("browser", "performance"):
            chromium.get_log(log)
        chromium.get(files[name].as_uri())
        return chromium

    light = [{"name": "prefers-color-scheme", "value": "light"}, {"name": "prefers-reduced-motion", "value": ""}]
    return opened


def sources(driver):
    """Of every picture of the browser of cases: (base, paint)."""
    script = "return [...document.querySelectorAll('.tile')].map(t => [...t.querySelectorAll('img')].map(i => i.src))"
    return driver.execute_script(script)
