"use strict";
// Snapshots over time: what moved most first, each on its own scale, develop as the last point.

const MOST_LINES = 8;

class Trends {
  constructor(app) { this.app = app; }

  build(section) {
    const { trend, calendar } = this.app.data.tables;
    this.series = ["weekly", "release", "develop", "other"].filter((series) => calendar.columns.series.values.includes(series));
    const { kind } = this.app.data.facts;
    // develop is compared with the weekly ones, where there are some.
    const own = kind === "develop" ? ["weekly", "develop"] : [kind];
    this.usual = [...own, ...this.series].find((series) => this.series.includes(series));
    this.rows = [...trend];
    this.slots = [...calendar];
    this.filters = new Filters("Trends", [
      { name: "series", label: "Snapshots", kind: "select", options: () => this.series.map((one) => [one, one === "weekly" && this.series.includes("develop") ? "weekly, then develop" : one]) },
      { name: "axis", label: "Lines", kind: "select", options: () => [["", "by stack"], ["compiler", "by compiler"], ["target", "by target"]] },
      { name: "measure", label: "Counting", kind: "select", options: () => [["", "packages"], ["specs", "specs"], ["coverage", "coverage in %"]] },
      { name: "scale", label: "Scale", kind: "select", options: () => [["", "what the lines reach"], ["zero", "from zero"]] },
      { name: "q", label: "Only", kind: "text", hint: "a part of the names; else those that moved most" },
    ], (values) => this.app.change("trends", { ...values, ...(values.series === this.usual ? { series: undefined } : {}) }));
    this.lines = make("div", { class: "chart" });
    this.table = make("div");
    section.append(this.filters.element, make("h3", {}, "Packages and specs of each snapshot"), make("div", { class: "columns" }, this.packages = make("div", { class: "chart" }), this.specs = make("div", { class: "chart" })),
      this.heading = make("h3"), this.lines, this.table);
  }

  /** The snapshots of a series; those of every week end in develop, which comes a week after the last here. */
  listSlots(series) {
    const slots = this.slots.filter((slot) => slot.series === series);
    const develop = this.slots.filter((slot) => slot.series === "develop");
    if (series !== "weekly" || !slots.length) return slots;
    const after = new Date(Date.parse(`${slots.at(-1).date}T00:00:00Z`) + 7 * 864e5).toISOString().slice(0, 10);
    return [...slots, ...develop.map((slot) => ({ ...slot, date: after }))];
  }

  show(values) {
    const series = choose(values.series, this.usual, ...this.series);
    this.filters.set({ ...values, series });
    const axis = choose(values.axis, "stack", "compiler", "target");
    const measure = choose(values.measure, "packages", "specs", "coverage");
    const slots = this.listSlots(series);
    const place = new Map(slots.map((slot, index) => [JSON.stringify([slot.series, slot.position]), index]));
    const x = slots.map(({ snapshot, date, series: one }) => ({ label: snapshot ?? `none on ${date}`, date, tick: one === "develop" ? "develop" : date }));
    const value = (row) => (measure === "coverage" ? (row.packages === null || !row.packages_total ? null : Math.round((1000 * row.packages) / row.packages_total) / 10) : row[measure]);
    const held = new Map();
    for (const row of this.rows) {
      const at = place.get(JSON.stringify([row.series, row.position]));
      if (at === undefined || row.axis !== axis || (values.q && !row.value.toLowerCase().includes(values.q.toLowerCase()))) continue;
      if (!held.has(row.value)) held.set(row.value, new Array(slots.length).fill(null));
      held.get(row.value)[at] = value(row);
    }
    const lines = [...held].map(([label, list]) => ({ label, values: list, ...measureChange(list) }))
      .sort((one, other) => Math.abs(other.change ?? 0) - Math.abs(one.change ?? 0) || (other.last ?? 0) - (one.last ?? 0) || compareTexts(one.label, other.label));
    const drawn = values.q ? lines.slice(0, 16) : lines.slice(0, MOST_LINES);
    const unit = measure === "coverage" ? "coverage in % of packages" : measure;
    const fromZero = values.scale === "zero";
    this.heading.textContent = `${unit[0].toUpperCase()}${unit.slice(1)} by ${axis}${drawn.length < lines.length ? `: the ${drawn.length} of ${lines.length} that moved most` : ""}`;
    for (const [box, name] of [[this.packages, "packages"], [this.specs, "specs"]]) {
      drawChart(box, { title: `${name} of each snapshot`, unit: name, x, lines: [{ label: name, values: slots.map((slot) => slot[name]) }], whole: true, fromZero, height: 200 });
    }
    if (drawn.length) drawChart(this.lines, { title: this.heading.textContent, unit, x, lines: drawn, whole: measure !== "coverage", fromZero, height: 320 });
    else this.lines.replaceChildren(make("p", {}, "Nothing by that name."));
    const totals = ["packages", "specs"].map((name) => slots.map((slot) => slot[name])).map((list, index) => ({ label: ["all packages", "all specs"][index], values: list, ...measureChange(list) }));
    this.table.replaceChildren(makeTable(`${series} snapshots: ${unit} by ${axis}, what moved most first`, [axis, make("span", { class: "vh" }, "line"), "change", ...x.map(({ label }) => label)],
      [...totals, ...lines].map(({ label, values: list, change }) => [label, makeSpark(list), changeOf(change), ...list])));
  }

  redraw(values) { this.show(values); }
}

/** The last known value of a line, and how far it is from the first. */
function measureChange(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  return { last: known.at(-1) ?? null, change: known.length > 1 ? Math.round(10 * (known.at(-1) - known[0])) / 10 : null };
}
