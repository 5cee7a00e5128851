"use strict";
// The page: the address says what is shown, and every change of the view is written into it.

const VIEWS = { overview: Overview, matrix: Matrix, find: Find, host: Host, gaps: Gaps, trends: Trends, compare: Compare };

class App {
  constructor(data) {
    this.data = data;
    this.views = {};
    this.neighbours = new Neighbours(data);
    // Names stay in sight while the rest scrolls, whole but on a narrow screen, of which they leave most to it.
    this.nameWidth = isNarrow() ? 130 : Math.max(160, Math.min(420, measureWidest([...data.packages, ...data.losses.map((one) => one.package)]) * 1.2 + 44));
  }

  read() {
    const [name, query = ""] = location.hash.slice(1).split(/\?(.*)/s);
    const view = Object.hasOwn(VIEWS, name) ? name : "overview";
    return { view, name, values: Object.fromEntries([...new URLSearchParams(query)].filter(([, value]) => value)) };
  }

  link(view, values = {}) {
    const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();
    return `#${view}${query ? `?${query}` : ""}`;
  }

  /** The name of a package or stack; in a site a link to its page there. */
  siteLink(kind, name) {
    if (!this.data.in_site) return name;
    const known = this.data.addresses[kind];
    return make("a", { href: `../${kind}/${encodeURIComponent(Object.hasOwn(known, name) ? known[name] : name)}/index.html` }, name);
  }

  /** In a site the link to the page of a package, if a text is the name of one. */
  pageLink(name) {
    const known = this.data.packages.includes(name) || this.data.losses.some((one) => one.package === name);
    return this.data.in_site && known ? [". All weeks: ", this.siteLink("package", name)] : [];
  }

  /** Another view, as a step that the browser's Back takes back. */
  go(view, values) {
    history.pushState(null, "", this.link(view, values));
    return this.show(true).then(() => { document.getElementById(`view-${view}`).querySelector("h2").focus(); });
  }

  /** The same view with other filters, in the same order; the latest stands in the address. */
  async change(view, values) {
    const now = this.read();
    // What was typed last comes a moment later: another view may have been asked for meanwhile.
    if (now.view !== view) return;
    const { sort } = now.values;
    history.replaceState(null, "", this.link(view, { ...(sort ? { sort } : {}), ...values }));
    await this.show();
  }

  /** What a grid calls when its reader has it sorted. */
  sorter(view) {
    return (order) => {
      const now = this.read();
      if (now.view === view) history.replaceState(null, "", this.link(view, { ...now.values, sort: order }));
      this.remember(view);
    };
  }

  /** A view's link leads back to where it was left. */
  remember(view) {
    document.querySelector(`nav a[data-view="${view}"]`).setAttribute("href", this.link(view, this.read().values));
    document.documentElement.dataset.shown = location.hash || "#overview";
  }

  /** A filter that is misspelt would show everything without a word. */
  showMisread({ view, name, values: { sort, spec, ...values } }) {
    const lines = this.views[view].filters?.misread(values) ?? [];
    if (name && name !== view) lines.unshift(`There is no view ${name}.`);
    const line = document.getElementById("misread");
    line.hidden = !lines.length;
    line.textContent = lines.join(" ");
  }

  /** Show what the address asks for; `arrived`: by a link or the address itself, and not by a change within the view. */
  async show(arrived = false) {
    const asked = this.read();
    const address = location.hash;
    const { view, values } = asked;
    const before = this.shown;
    this.shown = view;
    document.documentElement.dataset.view = view;
    for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== `view-${view}`;
    for (const link of document.querySelectorAll("nav a")) {
      const name = link.hash.slice(1).split("?")[0];
      if (name === view) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
    }
    if (!this.views[view]) {
      this.views[view] = new VIEWS[view](this);
      this.views[view].build(document.getElementById(`view-${view}`).querySelector(".body"));
    }
    this.showMisread(asked);
    if (before !== undefined && before !== view) window.scrollTo(0, 0);
    await this.views[view].show(values, arrived);
    // Another address may have been asked for meanwhile, and is not shown yet.
    if (location.hash === address) this.remember(view);
  }

  /** Charts are painted with the theme's colours, so a new theme paints them again. */
  repaint() { if (this.shown === "trends") this.views.trends.redraw(this.read().values); }
}

function setUpTheme(repaint) {
  const choice = document.getElementById("theme");
  const root = document.documentElement;
  choice.value = root.dataset.theme ?? "";
  choice.addEventListener("change", () => {
    if (choice.value) root.dataset.theme = choice.value; else delete root.dataset.theme;
    try { localStorage.setItem("spack-warehouse-theme", choice.value); } catch { /* not kept, then */ }
    repaint();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
}

(async () => {
  const place = document.getElementById("data");
  const app = new App(new Warehouse(await readData(place.textContent)));
  place.remove();
  window.addEventListener("hashchange", () => app.show(true));
  window.addEventListener("popstate", () => app.show(true));
  // A link to where one is already changes no address, and is followed all the same.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (link && link.hash === location.hash && !link.classList.contains("skip")) app.show(true);
  });
  let timer;
  window.addEventListener("resize", () => { clearTimeout(timer); timer = setTimeout(() => app.repaint(), 200); });
  showAges();
  showDue();
  setUpTheme(() => app.repaint());
  setUpSwitch(app.neighbours, app.data.facts.snapshot);
  // The hash is the address of the view, so that skipping is done by hand.
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    document.querySelector("main > section:not([hidden]) h2").focus();
  });
  await app.show(true);
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
})().catch((error) => {
  // A browser without DecompressionStream is older than 2023.
  document.querySelector("main").prepend(make("p", { class: "noscript" }, `The tables cannot be shown by this browser (${error.message}); a newer one, or the files below, will do.`));
  throw error;
});
