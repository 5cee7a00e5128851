"use strict";
// Packages by stack, compiler or target: what is there, what changed, what is behind.

/** Heat: 1, 2, 3–4, 5–8, 9–16, 17–32, more. */
const HEAT = [[1, "1"], [2, "2"], [4, "3–4"], [8, "5–8"], [16, "9–16"], [32, "17–32"], [Infinity, "33 +"]];
const heat = (count) => HEAT.findIndex(([most]) => count <= most) + 1;

/** What became of a cell since the snapshot before: its sign, its class, and how that is said. */
const CELL_CHANGES = { lost: ["−", "lost since", "c-lost"], gained: ["+", "new since", "c-gained"], newer: ["▲", "a version replaced since", "c-newer"] };

class Matrix {
  constructor(app) { this.app = app; this.matrices = {}; }

  build(section) {
    this.filters = new Filters("Matrix", [
      { name: "axis", label: "Packages by", kind: "select", options: () => [["", "stack"], ["compiler", "compiler"], ["target", "target"]] },
      { name: "q", label: "Package", kind: "text" },
      { name: "show", label: "Show", kind: "select", options: () => [["", "all packages"], ["changed", "those that changed"], ["gaps", "those lacking somewhere"], ["full", "those held everywhere"]] },
      { name: "ink", label: "Ink", kind: "select", options: () => [["", "changes and versions"], ["count", "number of specs"]] },
    ], (values) => this.app.change("matrix", (values.axis ?? "stack") === this.axis ? values : { ...values, sort: "" }));
    this.summary = make("p", { class: "summary", role: "status" });
    this.legend = make("div", { class: "legend", role: "img" });
    this.place = make("div", { class: "place" });
    // A phone's screen is the matrix's: what else there is folds away.
    section.append(...(isNarrow()
      ? [make("details", { class: "fold" }, make("summary", {}, "Filters and legend"), this.filters.element, this.legend), this.summary]
      : [this.filters.element, make("div", { class: "bar" }, this.summary, this.legend)]), this.place);
  }

  async show(values) {
    this.filters.set(values);
    const axis = choose(values.axis, "stack", "compiler", "target");
    const ink = choose(values.ink, "change", "count");
    if (this.axis !== axis || this.ink !== ink) this.draw(axis, ink);
    const { rows, columns, values: count } = this.matrices[axis];
    const wanted = values.q ? matchPackage(values.q, rows.map((row) => row.package)) : () => true;
    const passes = { gaps: (row) => row.cells.size < count, full: (row) => row.cells.size === count, changed: (row) => row.changes.size };
    const chosen = rows.filter((row) => wanted(row.package) && (Object.hasOwn(passes, values.show) ? passes[values.show](row) : true));
    const shown = columns.length < count ? `${show(columns.length)} of ${plural(count, axis)}, the best covered` : plural(count, axis);
    this.summary.textContent = `${plural(chosen.length, "package")} × ${shown}: changes, then holes, first`;
    await this.grid.setRows(chosen, values.sort);
  }

  /** What the ink of a cell means. */
  drawLegend(axis, ink) {
    const mark = (name, text, sign = "") => [make("span", { class: name }, sign), ` ${text} `];
    this.legend.replaceChildren(...(ink === "count"
      ? ["specs: ", make("span", { class: "h0" }, "0"), ...HEAT.map(([, text], index) => make("span", { class: `h${index + 1}` }, text))]
      : [...mark("h0", "no spec"), ...mark("c-here", "newest version"), ...mark("c-behind", "so many versions behind", "2"),
        ...(axis === "stack" && this.app.data.previous ? Object.values(CELL_CHANGES).flatMap(([sign, text, name]) => mark(name, text.replace(/ since$/, ""), sign)) : [])]));
    this.legend.setAttribute("aria-label", ink === "count" ? "Specs per cell" : "What cells show");
  }

  draw(axis, ink) {
    const { data, nameWidth } = this.app;
    const matrix = (this.matrices[axis] ??= data.matrix(axis));
    Object.assign(this, { axis, ink });
    this.drawLegend(axis, ink);
    const byField = new Map(matrix.columns.map((column) => [`c${column.code}`, column]));
    const narrow = isNarrow();
    const sums = [
      { title: `${axis}s`, field: "covered", cssClass: "sum", width: 46, text: (row) => String(row.cells.size), sorter: (one, other, a, b) => a.getData().cells.size - b.getData().cells.size },
      { title: "specs", field: "specs", cssClass: "sum", width: 58, text: (row) => show(row.specs) },
    ].map((column) => ({ ...column, headerVertical: "flip", hozAlign: "right", headerSortStartingDir: "desc" }));
    this.grid = new Grid({
      label: `Packages by ${axis}`, wide: true, height: "100%", sorted: this.app.sorter("matrix"), empty: "No such package.",
      describe: (row, field) => (byField.has(field) ? this.describeCell(row, byField.get(field)) : this.describeRow(row, matrix)),
      open: (row, field) => this.app.go("find", { package: row.package, ...(byField.has(field) ? { [axis]: byField.get(field).value } : {}) }),
      columns: [
        { title: "Package", field: "package", frozen: true, width: Math.min(nameWidth, narrow ? 136 : window.innerWidth / 2) },
        // On a phone the columns of the matrix need the room: a row's line says its sums.
        ...(narrow ? [] : sums),
        ...matrix.columns.map((column, index) => this.makeColumn(column, ink, index > 0 && axis === "stack" && column.family !== matrix.columns[index - 1].family)),
      ],
    });
    this.place.replaceChildren(this.grid.element);
  }

  makeColumn(column, ink, opens) {
    const { data } = this.app;
    const cell = (row) => row.cells.get(column.code);
    const lag = (row) => { const held = cell(row); return held ? (held.lag ??= data.lagOf(row, held)) : 0; };
    const change = (row) => row.changes.get(column.code);
    const byChange = (row) => (change(row) ? 1e6 : 0) + (cell(row) ? 1000 : 0) + lag(row);
    return {
      title: column.value, field: `c${column.code}`, headerVertical: "flip", width: isNarrow() ? 24 : 34, minWidth: 24, hozAlign: "center", headerSortStartingDir: "desc",
      cssClass: opens ? "opens" : "",
      titleFormatter: () => make("span", { class: "turned", title: `${column.value}, ${column.platform}: ${plural(column.packages, "package")}, ${plural(column.specs, "spec")}` },
        make("b", {}, `${percentOf(column.share)} `), column.value),
      text: (row) => {
        if (ink === "count") return cell(row) ? String(cell(row).specs) : "";
        return change(row) ? CELL_CHANGES[change(row)][0] : lag(row) ? String(lag(row)) : "";
      },
      decorate: (element, row) => {
        const held = cell(row);
        const name = ink === "count" ? (held ? `h${heat(held.specs)}` : "h0") : change(row) ? CELL_CHANGES[change(row)][2] : held ? (lag(row) ? "c-behind" : "c-here") : "h0";
        element.classList.add(name);
      },
      sorter: (one, other, a, b) => (ink === "count" ? (cell(a.getData())?.specs ?? 0) - (cell(b.getData())?.specs ?? 0) : byChange(a.getData()) - byChange(b.getData())),
    };
  }

  describeCell(row, { value, code }) {
    const { data } = this.app;
    const held = row.cells.get(code);
    const change = row.changes.get(code);
    const since = change ? `; ${CELL_CHANGES[change][1]} ${data.previous}` : "";
    if (!held) return `${row.package} × ${value}: no spec${since}`;
    const lag = data.lagOf(row, held);
    return `${row.package} × ${value}: ${plural(held.specs, "spec")}; ${held.versions.size === 1 ? "version" : "versions"} ${cut(data.versionsOf(held.versions))}`
      + `${lag ? `; ${plural(lag, "version")} behind ${data.versionsOf(row.versions).at(-1)}` : ""}${since}`;
  }

  /** A row's sums: a spec in two stacks counts in both cells, and once in the row. */
  describeRow(row, matrix) {
    const sum = [...row.cells.values()].reduce((all, { specs }) => all + specs, 0);
    const twice = sum > row.specs ? `; its cells add up to ${show(sum)}, since a spec counts in each ${this.axis} that has it` : "";
    const alone = sum < row.specs ? `; its cells add up to ${show(sum)}, since what is in root alone is in no stack` : "";
    return `${row.package}: ${plural(row.specs, "spec")} in ${row.cells.size} of ${plural(matrix.values, this.axis)}${twice}${alone}`;
  }
}
