"use strict";
// What a stack lacks and its siblings have.

class Gaps {
  constructor(app) { this.app = app; }

  build(section) {
    const { gaps } = this.app.data.tables;
    this.filters = new Filters("Gaps", [
      { name: "by", label: "A row per", kind: "select", options: () => [["", "package and stack"], ["package", "package"]] },
      { name: "stack", label: "Lacking in", kind: "select", options: () => asOptions(sorted(gaps.columns.stack.values)) },
      { name: "platform", label: "Platform", kind: "select", options: () => asOptions(sorted(gaps.columns.platform.values)) },
      { name: "q", label: "Package", kind: "text" },
    ], (values) => this.app.change("gaps", (values.by ?? "") === this.by ? values : { ...values, sort: "" }));
    this.summary = make("p", { class: "summary", role: "status" });
    this.place = make("div");
    section.append(make("p", { class: "quiet" }, "Packages that a stack lacks and other stacks of its platform have: what most of the others have comes first."), this.filters.element, this.summary, this.place);
  }

  async show(values) {
    this.filters.set(values);
    const { gaps } = this.app.data.tables;
    const wanted = values.q ? matchPackage(values.q, gaps.columns.package.values) : () => true;
    const rows = [...gaps].filter((row) => (!values.stack || row.stack === values.stack) && (!values.platform || row.platform === values.platform) && wanted(row.package));
    const by = choose(values.by, "", "package");
    if (this.by !== by) this.draw(by);
    const packages = new Set(rows.map((row) => row.package));
    this.summary.textContent = `${plural(rows.length, "gap")} of ${plural(packages.size, "package")}`;
    if (by !== "package") { await this.grid.setRows(rows, values.sort); return; }
    const merged = new Map();
    for (const row of rows) {
      const key = JSON.stringify([row.package, row.platform]);
      if (!merged.has(key)) merged.set(key, { ...row, lacking: [] });
      merged.get(key).lacking.push(row.stack);
    }
    await this.grid.setRows([...merged.values()].map((row) => ({ ...row, missing: row.lacking.length })), values.sort);
  }

  draw(by) {
    this.by = by;
    const name = { title: "Package", field: "package", frozen: true, width: this.app.nameWidth };
    const held = { title: "Held by", field: "held_by", width: 100, hozAlign: "right", headerSortStartingDir: "desc" };
    const platform = { title: "Platform", field: "platform", width: 115 };
    // What is lacking where, and why it ranks so high, fits a narrow screen too; 45 are the page's margins and the grid's frame.
    const stackWidth = Math.max(110, Math.min(280, window.innerWidth - 45 - name.width - held.width));
    this.grid = new Grid({
      label: "Gaps", empty: "No gap.", sorted: this.app.sorter("gaps"),
      open: (row) => this.app.go("find", { package: row.package, platform: row.platform }),
      columns: [
        name,
        ...(by ? [{ title: "Lacking in", field: "missing", width: 120, hozAlign: "right", headerSortStartingDir: "desc" }, held, platform, { title: "These lack it", field: "lacking", width: 420 }]
          : [{ title: "Lacking in", field: "stack", width: stackWidth }, held, platform]),
        { title: "These have it", field: "stacks", width: 620 },
      ],
    });
    this.place.replaceChildren(this.grid.element);
  }
}
