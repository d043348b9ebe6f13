// A person at a keyboard: signs in at the issuer, hands in a key on our page, or removes it. No mouse is used.
// Reads {url, name, width, theme, wrong, key, remove, shot} as JSON from stdin; prints what was seen, as JSON.
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const told = JSON.parse(readFileSync(0, "utf8"));
const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const context = await browser.newContext({
  viewport: { width: told.width, height: 700 }, colorScheme: told.theme, locale: "en-GB", reducedMotion: "reduce",
});
const page = await context.newPage();
const troubles = [];
page.on("pageerror", (error) => troubles.push(String(error)));
page.on("console", (message) => troubles.push(message.text()));

// Tab to what a screen reader would call so; every stop on the way is a stop that a person makes.
async function tabTo(name) {
  const stops = [];
  for (let tries = 0; tries < 20; tries += 1) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const one = document.activeElement;
      const ring = getComputedStyle(one).outlineStyle;
      return { name: (one.labels?.[0] ?? one).innerText.trim(), ring, high: one.getBoundingClientRect().height };
    });
    stops.push(stop);
    if (stop.name === name) return stops;
  }
  throw new Error(`no way to ${name}: ${JSON.stringify(stops)}`);
}

const seen = () => page.evaluate((pasted) => ({
  title: document.title,
  text: document.querySelector("main").innerText,
  lang: document.documentElement.lang,
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  ground: getComputedStyle(document.body).backgroundColor,
  focused: document.activeElement.className || document.activeElement.id || document.activeElement.tagName,
  scripts: document.scripts.length,
  kept: [...document.querySelectorAll("input")].map((one) => one.value).filter((value) => pasted.includes(value)),
  address: location.href,
}), [told.key, told.wrong]);

const outcome = { pages: {}, stops: [] };
await page.goto(told.url);
for (let steps = 0; steps < 4 && !page.url().startsWith(told.url.split("?")[0]); steps += 1) {
  const before = page.url();
  if (await page.locator("input[name=login]").count()) {
    await page.locator("input[name=login]").focus();
    await page.keyboard.type(told.name);
    await page.locator("input[name=password]").focus();
    await page.keyboard.type("any");
  } else {
    await page.locator("[autofocus], button[type=submit]").first().focus();
  }
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.href !== before);
}
troubles.length = 0; // what the issuer's own pages have to say is not ours
outcome.pages.first = await seen();
outcome.tree = await page.locator("main").ariaSnapshot();
if (told.shot) await page.screenshot({ path: `${told.shot}-first.png`, fullPage: true });
if (told.wrong) {
  await tabTo("API key of your team");
  await page.keyboard.type(told.wrong);
  outcome.stops = await tabTo("Try the key and keep it");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.title.startsWith("Error"));
  outcome.pages.wrong = await seen();
  outcome.wrongTree = await page.locator("main").ariaSnapshot();
  if (told.shot) await page.screenshot({ path: `${told.shot}-wrong.png`, fullPage: true });
  await page.keyboard.press("Tab"); // to the summary's link, which leads to the field
  await page.keyboard.press("Enter");
  outcome.pages.led = await seen();
} else if (told.key) {
  await tabTo("API key of your team");
}
if (told.key) {
  await page.keyboard.type(told.key);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("main").innerText.includes("is kept"));
  outcome.pages.kept = await seen();
  if (told.shot) await page.screenshot({ path: `${told.shot}-kept.png`, fullPage: true });
}
if (told.remove) {
  await tabTo("Remove the key");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("main").innerText.includes("The key is removed"));
  outcome.pages.removed = await seen();
}
outcome.cookies = (await context.cookies()).filter((one) => one.name.includes("connect"));
outcome.troubles = troubles.filter((text) => !text.includes("422"));
console.log(JSON.stringify(outcome));
await browser.close();
