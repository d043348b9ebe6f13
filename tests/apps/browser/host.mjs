// A small host: it shows the page in a sandboxed frame and speaks to it through the extension's own AppBridge.
// Reads {page, report, cases, shots} as JSON from stdin; prints what each case came to, and every request, as JSON.
import { readFileSync } from "node:fs";
import { build } from "esbuild";
import { chromium } from "playwright-core";

const { page: html, report, cases, shots } = JSON.parse(readFileSync(0, "utf8"));
const source = 'export { AppBridge, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";';
const bundled = await build({
  stdin: { contents: source, resolveDir: import.meta.dirname },
  bundle: true, format: "iife", globalName: "apps", platform: "browser", write: false,
});
const HOST = `<!doctype html><style>body { margin: 0 } iframe { border: 0; width: 100%; height: 60px; display: block }</style>
<iframe id="frame" sandbox="allow-scripts"></iframe><script>${bundled.outputFiles[0].text.replaceAll("</script", "<\\/script")}</script>`;

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox"] });
const outcomes = [], requests = [];

async function open(theme, width) {
  const context = await browser.newContext({
    viewport: { width, height: 500 }, colorScheme: theme, locale: "en-GB", timezoneId: "UTC", reducedMotion: "reduce",
  });
  const page = await context.newPage();
  const troubles = [];
  page.on("pageerror", (error) => troubles.push(String(error)));
  page.on("console", (message) => message.type() === "error" && troubles.push(message.text()));
  await page.route("**/*", (route) => {
    requests.push(route.request().url()); // what the policy stops does not come as far as here
    const { pathname } = new URL(route.request().url());
    const body = { "/": HOST, "/report": report, "/alone": html }[pathname];
    return body ? route.fulfill({ contentType: "text/html", body }) : route.abort();
  });
  return { context, page, troubles };
}

async function shoot(page, name, theme, width, high) {
  await page.setViewportSize({ width, height: high });
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  await page.screenshot({ path: `${shots}/${name}-${theme}-${width}.png` });
}

// What a person with eyes, a keyboard or a screen reader has of it.
const seen = (frame) => frame.evaluate(() => ({
  text: document.getElementById("main").innerText,
  wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  foreign: document.querySelectorAll("main :is(img, script, iframe, a, form, style, link, object)").length,
  ground: getComputedStyle(document.body).backgroundColor,
  high: Math.ceil(document.documentElement.getBoundingClientRect().height),
  lines: [...document.querySelectorAll(".track")].map((track) => [...track.children].map((dot) => dot.getBoundingClientRect().left)),
}));

for (const one of cases) for (const theme of one.themes) for (const width of one.widths) {
  const { context, page, troubles } = await open(theme, width);
  const calls = [], machines = [...(one.machines ?? [])];
  await page.exposeFunction("called", (params) => {
    calls.push(params);
    if (params.name.endsWith("list_machines")) return machines.shift();
    return one.next ?? { content: [], structuredContent: { items: [] } };
  });
  await page.goto("http://host.test/");
  await page.evaluate(async ({ html, one, theme }) => {
    const frame = document.getElementById("frame");
    const tool = { name: one.tool, inputSchema: { type: "object" } };
    const context = { theme, locale: "en-GB", timeZone: "UTC", ...(one.tool && { toolInfo: { tool } }), ...one.context };
    const bridge = new apps.AppBridge(null, { name: "host", version: "1" }, one.capabilities ?? { serverTools: {} }, { hostContext: context });
    window.bridge = bridge;
    bridge.oncalltool = (params) => window.called(params);
    bridge.onsizechange = ({ height }) => { frame.style.height = height + "px" };
    const ready = new Promise((done) => { bridge.oninitialized = done });
    await bridge.connect(new apps.PostMessageTransport(frame.contentWindow, frame.contentWindow));
    frame.srcdoc = html;
    await ready;
    if (one.cancelled) return bridge.sendToolCancelled({ reason: one.cancelled });
    if (!one.result) return;
    await bridge.sendToolInput({ arguments: one.input ?? {} });
    await bridge.sendToolResult(one.result);
  }, { html, one, theme });
  const frame = page.frames()[1];
  await frame.waitForFunction((shown) => document.getElementById("main").innerText.includes(shown), one.shown);
  // The frame is as high as the page says that it is.
  await page.waitForFunction(() => document.getElementById("frame").clientHeight > 60);
  for (let same = 0, before = 0; same < 3;) {
    const high = await frame.evaluate(() => Math.ceil(document.documentElement.getBoundingClientRect().height));
    same = high === before && high === (await page.evaluate(() => document.getElementById("frame").clientHeight)) ? same + 1 : 0;
    before = high;
    await page.evaluate(() => new Promise(requestAnimationFrame));
  }
  const outcome = { name: one.name, theme, width, calls, troubles, ...(await seen(frame)) };
  if (shots && one.shots.includes(`${theme} ${width}`)) await shoot(page, one.name, theme, width, outcome.high);
  if (one.tree) outcome.tree = await frame.locator("main").ariaSnapshot();
  if (one.keys) {
    await frame.locator(".dot[tabindex='0']").first().focus();
    outcome.pressed = [];
    for (const key of one.keys) {
      await page.keyboard.press(key);
      outcome.pressed.push(await frame.evaluate(() => [document.activeElement.getAttribute("aria-label"), document.querySelector(".machine > p").innerText]));
    }
  }
  if (one.more) {
    await frame.getByRole("button", { name: "Show more" }).click();
    await frame.waitForFunction((shown) => document.getElementById("main").innerText.includes(shown), one.more);
    outcome.after = await seen(frame);
  }
  if (one.named) {
    for (const text of one.named) {
      await frame.getByRole("button", { name: "Show machine names" }).click();
      await frame.waitForFunction((shown) => document.getElementById("main").innerText.includes(shown), text);
    }
    outcome.named = await seen(frame);
  }
  if (one.teardown) outcome.teardown = await page.evaluate(() => window.bridge.teardownResource({}));
  if (one.way) {
    // What a script in the page could do, if one got in: the policy stops each way out.
    outcome.ways = await frame.evaluate(async () => {
      const out = [];
      const blocked = new Set();
      addEventListener("securitypolicyviolation", (event) => blocked.add(event.effectiveDirective));
      await fetch("http://evil.test/fetch").catch(() => out.push("fetch"));
      for (const [tag, how] of [["img", "src"], ["iframe", "src"], ["script", "src"], ["link", "href"]]) {
        const made = document.createElement(tag);
        if (tag === "link") made.rel = "stylesheet";
        made[how] = `http://evil.test/${tag}`;
        document.body.append(made);
      }
      const inline = document.createElement("script");
      inline.textContent = "window.inline = true";
      document.body.append(inline);
      document.body.insertAdjacentHTML("beforeend", '<p style="color: red" onclick="1"></p>');
      await new Promise((done) => setTimeout(done, 300));
      return { out, blocked: [...blocked].sort(), inline: window.inline === true };
    });
  }
  outcomes.push(outcome);
  await context.close();
}

for (const theme of ["light", "dark"]) for (const width of report ? [320, 1600] : []) {
  const { context, page, troubles } = await open(theme, width);
  await page.goto("http://host.test/report");
  const outcome = { name: "report", theme, width, calls: [], troubles, ...(await seen(page)), title: await page.title() };
  if (shots && theme === "light" && width === 1600) await shoot(page, "report", theme, width, outcome.high);
  outcomes.push(outcome);
  await context.close();
}

// The page opened by itself, without a host.
const alone = await open("light", 320);
await alone.page.goto("http://host.test/alone");
outcomes.push({ name: "alone", theme: "light", width: 320, calls: [], troubles: alone.troubles, ...(await seen(alone.page)) });
await browser.close();
console.log(JSON.stringify({ outcomes, requests }));
