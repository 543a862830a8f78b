# SPDX-License-Identifier: Apache-2.0
"""Opens DIR/compare.html in a headless Chromium and uses it as people do.

usage: check_page.py DIR [SHOTS]   (SHOTS: a folder for pictures to look at)
"""
import base64
import json
import os
import sys
from collections import Counter
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

folder = Path(sys.argv[1]).resolve()
shots = Path(sys.argv[2]) if len(sys.argv) > 2 else None
document = json.loads((folder / "compare.json").read_text())
url = (folder / "compare.html").as_uri()
failed = 0


def check(good, what):
    global failed
    if not good:
        print("NOT OK:", what)
        failed = 1


def start(*more):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage",
                 "--hide-scrollbars", "--no-first-run",
                 "--disable-background-networking", "--disable-sync",
                 "--disable-component-update",
                 "--disable-ipc-flooding-protection", *more):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs",
                           {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"),
                            options=options)


def start_somehow():
    """Chromium refuses root, and machines that let nobody make a namespace,
    unless it does without its sandbox. All it is shown is our own file."""
    if os.geteuid() != 0:
        try:
            return start()
        except WebDriverException:
            pass
    try:
        return start("--no-sandbox")
    except WebDriverException as e:
        print("skipped: Chromium does not start here:", str(e).strip()[:300])
        sys.exit(77)


browser = start_somehow()
requests, complaints = [], []


def listen():
    """Takes in what the browser has logged since; call before leaving a page."""
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            requests.append(message["params"]["request"]["url"])
    complaints.extend(entry["message"] for entry in browser.get_log("browser"))


def view(width, height=900, dark=False):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
        "width": width, "height": height, "deviceScaleFactor": 1,
        "mobile": False})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{
        "name": "prefers-color-scheme",
        "value": "dark" if dark else "light"}]})


def load(address=""):
    listen()
    browser.get("about:blank")
    browser.get(url + address)


def script(text, *args):
    return browser.execute_script(text, *args)


def cell(fault, way):
    return browser.find_element(
        By.CSS_SELECTOR, f'.cell[data-fault="{fault}"][data-way="{way}"]')


def click(element):
    """Where the head of the table, which stays in view, does not cover it."""
    script("arguments[0].scrollIntoView({block: 'center'})", element)
    element.click()


def story():
    found = browser.find_elements(By.CSS_SELECTOR, ".panel")
    return found[0].text if found else None


def shoot(name):
    if shots:
        shot = browser.execute_cdp_cmd("Page.captureScreenshot",
                                       {"format": "png"})
        (shots / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))


def check_fits(width, what):
    wide = script("return document.documentElement.scrollWidth")
    check(wide <= width, f"{what}: {wide} px wide at {width}")


def totals(runs):
    """What the page has to say, counted here once more."""
    lost, hosts = Counter(), Counter()
    for run in runs:
        if run["failed"] is None:
            lost[run["way"]] += run["lost"]
            hosts[run["way"]] += run["hosts"]
    return (f'A lost {lost["A"]} of {hosts["A"]} hosts, '
            f'B {lost["B"]} of {hosts["B"]}, C {lost["C"]} of {hosts["C"]}.')


def the_whole_is_shown():
    view(1280)
    load()
    check(browser.find_element(By.TAG_NAME, "h1").text ==
          totals(document["runs"]), "the headline is what the runs add up to")
    cells = script("""return [...document.querySelectorAll(".cell")].map((c) =>
        [c.className, c.querySelector("use").getAttribute("href"),
         c.querySelector("b").textContent, c.getAttribute("aria-expanded"),
         getComputedStyle(c).backgroundColor])""")
    check(len(cells) == 3 * len(document["faults"]), "a cell for each way")
    check(all(name.split()[1] == icon[3:] and word and state == "false"
              for name, icon, word, state, _ in cells),
          "each cell has its sign, a word and is shut")
    of = {name: colour for name, _, _, _, colour in cells}
    check(of["cell lost"] != of["cell held"] != of["cell recovered"],
          "endings differ by colour")
    check(len({icon for _, icon, _, _, _ in cells}) ==
          len({name for name, *_ in cells}), "and by sign")
    check(len(browser.find_elements(By.CSS_SELECTOR, "#curve path.line")) >= 3,
          "a curve for each way")
    check(browser.find_element(By.CSS_SELECTOR, "#overhead table").is_displayed(),
          "the overhead is shown")
    text = browser.find_element(By.ID, "overhead").text
    for part in ("5,400", "sysdig: not measured: its module does not build",
                 "58.4", "connect: not measured: this kernel refuses it"):
        check(part in text, f"the overhead has: {part}")
    check_fits(1280, "the page")
    shoot("1280")


def a_click_tells_the_story():
    fault = document["faults"][0]
    run = next(r for r in document["runs"]
               if r["fault"] == fault["id"] and r["way"] == "B")
    button = cell(fault["id"], "B")
    click(button)
    text = story() or ""
    check(button.get_attribute("aria-expanded") == "true",
          "the cell says that it is open")
    for part in (fault["what"], fault["incidents"][0], "The gate: rejected",
                 run["gate"]["words"].splitlines()[0], "boot-loop",
                 run["timeline"][0]["text"], run["evidence"][0]["text"]):
        check(part in text, f"the story has: {part}")
    name = run["logs"][0]["name"]
    click(browser.find_element(By.XPATH, f"//summary[.='{name}']"))
    check(run["logs"][0]["text"].splitlines()[0] in (story() or ""),
          "the log opens")
    check("document.title='owned'" in (story() or ""),
          "what a log says is shown as it is")
    check_fits(1280, "a story")
    shoot("1280-story")
    click(button)
    check(story() is None, "a second click shuts it")


def the_keyboard_does_all_of_it():
    first, *_ = document["faults"]
    button = cell(first["id"], "A")
    script("arguments[0].focus()", button)
    button.send_keys(Keys.ARROW_RIGHT)
    active = browser.switch_to.active_element
    check(active.get_attribute("data-way") == "B", "an arrow goes to B")
    active.send_keys(Keys.ENTER)
    check("Module under belay" in (story() or ""), "Enter opens")
    active.send_keys(Keys.TAB)  # C, then what is below the row
    browser.switch_to.active_element.send_keys(Keys.TAB)
    inside = script("return document.activeElement.closest('.panel') !== null")
    check(inside, "Tab goes on into the story")
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    check(story() is None, "Escape shuts")
    check(browser.switch_to.active_element.get_attribute("data-way") == "B",
          "and the focus is where it was")


def a_kernel_can_be_chosen():
    last = document["kernels"][-1]
    browser.find_elements(By.CSS_SELECTOR, "#kernels button")[-1].click()
    check(browser.find_element(By.TAG_NAME, "h1").text ==
          totals(r for r in document["runs"] if r["kernel"] == last),
          "the totals are those of the kernel")
    click(cell(document["faults"][0]["id"], "C"))
    check(last in (story() or ""), "and so are the stories")


def every_cell_opens():
    bad = script("""return [...document.querySelectorAll(".cell")].filter((c) => {
        c.click();
        const open = [...document.querySelectorAll(".panel")];
        return open.length !== 1 || open[0].textContent.length < 80 ||
            c.getAttribute("aria-expanded") !== "true";
    }).map((c) => c.dataset.fault + " " + c.dataset.way)""")
    check(not bad, f"cells that do not open, alone: {bad}")
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.ESCAPE)
    check(story() is None, "the last one shuts")


def a_link_leads_to_a_cell():
    fault, kernel = document["faults"][0]["id"], document["kernels"][1]
    load(f"#{fault}/B/{kernel}")
    check(kernel in (story() or ""), "the address opens its cell")
    load("#%3Cimg%3E/B/%")
    check(story() is None, "an address of nothing opens nothing")
    check(len(browser.find_elements(By.CSS_SELECTOR, ".cell")) ==
          3 * len(document["faults"]), "and breaks nothing")


def it_is_read_on_a_phone_and_at_night():
    view(400)
    check_fits(400, "the page")
    script("scrollTo(0, 0)")
    shoot("400")
    click(cell(document["faults"][0]["id"], "B"))
    for width in (400, 320):
        view(width)
        check_fits(width, "a story")
        shoot(f"{width}-story")
    light = script("return getComputedStyle(document.body).backgroundColor")
    view(1280, dark=True)
    dark = script("return getComputedStyle(document.body).backgroundColor")
    check(light != dark, "dark is dark")
    shoot("dark-story")
    script("scrollTo(0, 0)")
    shoot("dark")


def it_prints():
    view(1280)
    load(f"#{document['faults'][0]['id']}/B")
    opened = ".panel details[open]"
    before = len(browser.find_elements(By.CSS_SELECTOR, opened))
    script("""window.shut = [];
        addEventListener("beforeprint", () => window.shut.push(
            document.querySelectorAll(".panel details:not([open])").length))""")
    pdf = base64.b64decode(browser.execute_cdp_cmd(
        "Page.printToPDF", {"printBackground": False})["data"])
    check(pdf.startswith(b"%PDF") and len(pdf) > 20000, "it prints")
    check(script("return window.shut") == [0], "logs of an open story are open")
    check(len(browser.find_elements(By.CSS_SELECTOR, opened)) == before,
          "and shut again behind it")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    check(len(browser.find_elements(By.CSS_SELECTOR, "#appendix article")) ==
          len(document["faults"]) and
          browser.find_element(By.ID, "appendix").is_displayed(),
          "paper has every fault's story")
    check(not browser.find_element(By.ID, "kernels").is_displayed(),
          "and no buttons")
    if shots:
        (shots / "print.pdf").write_bytes(pdf)


try:
    the_whole_is_shown()
    a_click_tells_the_story()
    the_keyboard_does_all_of_it()
    a_kernel_can_be_chosen()
    every_cell_opens()
    check("owned" not in browser.title, "no text became script")
    a_link_leads_to_a_cell()
    it_is_read_on_a_phone_and_at_night()
    it_prints()
    listen()
finally:
    browser.quit()
check(not complaints, f"the console is silent: {complaints[:5]}")
check(any(r.startswith("file:") for r in requests), "requests were watched")
strangers = [r for r in requests
             if not r.startswith(("file:", "data:", "about:"))]
check(not strangers, f"no request leaves the machine: {strangers[:5]}")
sys.exit(failed)
