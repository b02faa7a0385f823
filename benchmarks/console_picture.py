"""Take docs/images/console.png: a real trial on the running twin, seen in a real browser.

With server, bridge (`--rig twin`) and console running: `python benchmarks/console_picture.py LINK`, where
LINK is what the console printed.
"""

import argparse
from pathlib import Path

from playwright.sync_api import sync_playwright

CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-sync", "--no-first-run"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("link")
    parser.add_argument("--policy", default="random")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("docs/images/console.png"))
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 1060})
        page.goto(options.link)
        page.fill("input[name=policy]", options.policy)
        page.fill("input[name=operator]", "operator 1")
        page.fill("input[name=seed]", str(options.seed))
        for button in ("Prepare trial", "Arm", "Start"):
            page.get_by_role("button", name=button, exact=True).click(timeout=60_000)
        page.wait_for_timeout(6_000)
        page.screenshot(path=options.out)
        page.get_by_role("button", name="Disarm", exact=True).click()
        browser.close()


if __name__ == "__main__":
    main()
