"""A real browser without a screen, for tests and pictures: Debian's chromium, driven by selenium.

Nothing is downloaded: `apt-get install chromium chromium-driver`.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Browser:
    """One window. `said` is what its console said, `asked_for` what it asked the network for, both since last time."""

    def __init__(self, profile: Path) -> None:
        options = ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = Chrome(options=options, service=Service(str(DRIVER)))

    def close(self) -> None:
        self.driver.quit()
        self.driver.service.stop()

    def open(self, page: Path, *, width: int = 1300, height: int = 900, dark: bool = False) -> None:
        self.look(width, height, dark=dark)
        self.driver.get(page.as_uri())

    def look(self, width: int, height: int = 900, *, dark: bool = False, media: str = "screen") -> None:
        """The window's size, the system's theme, and whether it is a sheet of paper."""
        shape = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.command("Emulation.setDeviceMetricsOverride", shape)
        theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", {"media": media, "features": [theme]})

    def picture(self, to: Path, height: int | None = None) -> None:
        """A PNG of the page, or of its upper part."""
        size = self.script("return [document.documentElement.clientWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": size[0], "height": height or size[1], "scale": 1}
        shot = self.command("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        to.write_bytes(base64.b64decode(shot["data"]))

    def command(self, name: str, values: dict[str, Any]) -> Any:
        return self.driver.execute_cdp_cmd(name, values)

    def script(self, text: str, *arguments: Any) -> Any:
        return self.driver.execute_script(text, *arguments)

    # --- what is there

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def texts(self, selector: str) -> list[str]:
        """What each of them holds, seen or not."""
        found: list[str] = self.script(
            "return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent)", selector
        )
        return found

    def text(self, selector: str) -> str:
        (text,) = self.texts(selector)
        return text

    @property
    def focused(self) -> WebElement:
        return self.driver.switch_to.active_element

    # --- what is done

    def press(self, *keys: str) -> None:
        for key in keys:
            self.focused.send_keys(key)

    def tab_to(self, selector: str) -> WebElement:
        """Goes on by Tab until the focus is on such an element."""
        for _ in range(60):
            self.press(Keys.TAB)
            if self.script("return document.activeElement.matches(arguments[0])", selector):
                return self.focused
        raise AssertionError(f"Tab never comes to {selector}")

    # --- what went wrong

    def said(self) -> list[str]:
        return [line["message"] for line in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def asked_for(self) -> list[str]:
        """Addresses; those inside the page are none, nor are the browser's own."""
        lines = self.driver.get_log("performance")  # type: ignore[no-untyped-call]
        events = [json.loads(line["message"])["message"] for line in lines]
        sent = [one["params"] for one in events if one["method"] == "Network.requestWillBeSent"]
        addresses = [one["request"]["url"] for one in sent]
        return [url for url in addresses if not url.startswith(("data:", "chrome:"))]
