"use strict";
// What the views are made of: elements, forms, grids with keyboard, charts, copying. Text goes in as text nodes only.

const NUMBERS = new Intl.NumberFormat("en-GB");
const show = (number) => (number === null || number === undefined ? "–" : NUMBERS.format(number));
const percent = (part, whole) => (whole ? `${Math.round((100 * part) / whole)} %` : "–");
const percentOf = (share) => `${Math.round(100 * share)} %`;
const plural = (count, one, many = `${one}s`) => `${show(count)} ${count === 1 ? one : many}`;

/** An element with properties and children; a child that is no node is text. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Whether the window is as narrow as a phone's. */
const isNarrow = () => window.innerWidth < 600;

/** An element of SVG with attributes. */
function makeSvg(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

let serial = 0;
const nextId = (prefix) => `${prefix}-${++serial}`;

/** Tell a screen reader, and everyone else, in the page's one status line. */
function announce(text) {
  const line = document.getElementById("status");
  line.textContent = text;
  clearTimeout(announce.timer);
  announce.timer = setTimeout(() => { line.textContent = ""; }, 4000);
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Not a secure context, such as plain HTTP: the old way.
    const area = make("textarea", { class: "offscreen" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) { announce("The browser refused to copy; select the text instead."); return; }
  }
  announce(`Copied: ${text}`);
}

const copyButton = (text, label) =>
  make("button", { type: "button", class: "copy", "aria-label": label, title: label, onclick: (event) => { event.stopPropagation(); copyText(text); } }, "Copy");

const makeCommand = (text) => make("div", { class: "command" }, make("code", {}, text), copyButton(text, `Copy: ${text}`));

/** A word as a shell takes it: in quotes, where it is more than letters and digits. */
const quoteShell = (text) => (/^[A-Za-z0-9_.@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/**
 * A form of filters. `fields` are {name, label, hint, kind: "text" | "select", options(): [[value, text, group]], suggest(),
 * understands(value), wide, folded}; without `understands` a field takes any value, those `folded` open when one has a value.
 * `onChange(values)` hears of each change; `set(values)` fills the form in without a change.
 */
class Filters {
  constructor(label, fields, onChange) {
    this.fields = fields;
    this.controls = {};
    this.element = make("form", { class: "filters", role: "search", "aria-label": label, onsubmit: (event) => event.preventDefault() });
    const changed = () => { clearTimeout(this.timer); onChange(this.values()); };
    const rest = make("div", { class: "rest" });
    for (const field of fields) {
      const id = nextId("filter");
      let control;
      if (field.kind === "select") {
        control = make("select", { id, name: field.name, onchange: changed });
      } else {
        control = make("input", {
          id, name: field.name, type: "search", autocomplete: "off", spellcheck: "false", placeholder: field.placeholder ?? "",
          "aria-describedby": field.hint ? `${id}-hint` : null,
          oninput: () => { clearTimeout(this.timer); this.timer = setTimeout(changed, 150); }, onchange: changed,
        });
        if (field.suggest) {
          const list = make("datalist", { id: `${id}-list` }, field.suggest().map((value) => make("option", { value })));
          control.setAttribute("list", list.id);
          this.element.append(list);
        }
      }
      this.controls[field.name] = control;
      (field.folded ? rest : this.element).append(make("div", { class: `filter ${field.wide ? "wide" : ""}` },
        make("label", { for: id }, field.label), control,
        field.hint ? make("small", { id: `${id}-hint` }, field.hint) : null));
    }
    if (rest.childElementCount) {
      this.folded = make("details", { class: "more" }, make("summary", {}, "More filters"), rest);
      this.element.append(this.folded);
    }
    this.element.append(make("div", { class: "filter" }, make("button", {
      type: "button", onclick: () => { this.set({}); onChange(this.values()); this.element.querySelector("input,select")?.focus(); },
    }, "Clear")));
  }

  values() {
    return Object.fromEntries(Object.entries(this.controls).map(([name, control]) => [name, control.value.trim()]).filter(([, value]) => value));
  }

  set(values) {
    clearTimeout(this.timer);
    if (this.folded && this.fields.some(({ name, folded }) => folded && values[name])) this.folded.open = true;
    for (const field of this.fields) {
      const value = values[field.name] ?? "";
      if (field.kind === "select") this.fill(field, value);
      else if (this.controls[field.name].value.trim() !== value) this.controls[field.name].value = value;
    }
  }

  /** What this form does not understand of an address, in words; none: it understands all. */
  misread(values) {
    const strange = Object.keys(values).filter((name) => !Object.hasOwn(this.controls, name));
    const wrong = this.fields.filter(({ name, understands }) => understands && values[name] && !understands(values[name]));
    return [
      ...(strange.length ? [`Not understood, so left out: ${strange.join(", ")}. The filters of this view are ${Object.keys(this.controls).join(", ")}.`] : []),
      ...wrong.map(({ name, label }) => `Not understood, so nothing fits: ${label} ${values[name]}.`),
    ];
  }

  /** Write a select's options anew; a value that is no option is kept as one, so that an address is never lost. */
  fill(field, value, counts) {
    const control = this.controls[field.name];
    const options = field.options();
    if (value && !options.some(([one]) => one === value)) options.push([value, `${value} (none here)`]);
    const groups = new Map();
    const made = [];
    for (const [one, text, group] of options) {
      const count = counts?.(one);
      const option = make("option", { value: one }, count === undefined ? text : `${text} (${show(count)})`);
      option.selected = one === value;
      if (!group) { made.push(option); continue; }
      if (!groups.has(group)) { groups.set(group, make("optgroup", { label: group })); made.push(groups.get(group)); }
      groups.get(group).append(option);
    }
    control.replaceChildren(...made);
    control.value = value;
  }
}

/**
 * A grid of Tabulator with one tab stop, moved through by the arrow keys.
 *
 * Columns are Tabulator's, but for `text(row)`, `node(row)` and `decorate(element, row)`, which give a cell's content.
 * `describe(row, field)` describes a cell, in a line next to it; `open(row, field)` hears of Enter and click.
 */
class Grid {
  constructor({ label, columns, describe, open, sorted, height = "min(75vh, 48rem)", wide = false, empty = "Nothing here." }) {
    this.describe = describe;
    this.open = open;
    this.sorted = sorted;
    this.queue = Promise.resolve();
    this.holderId = nextId("grid");
    this.box = make("div", { class: wide ? "matrix" : "list" });
    this.line = make("p", { class: "detail", "aria-live": "polite" });
    this.element = make("div", { class: "grid" }, this.box, describe ? this.line : null);
    this.place = { row: 0, column: 0 };
    this.ready = new Promise((resolve) => { this.resolve = resolve; });
    this.options = {
      data: [], [wide ? "height" : "maxHeight"]: height, layout: wide ? "fitData" : "fitDataStretch", rowHeight: wide ? 26 : 32, headerSortTristate: true,
      columnHeaderVertAlign: "bottom", placeholder: make("span", { class: "empty" }, empty), initialSort: [],
      columnDefaults: { headerSort: true, resizable: wide ? false : "header", titleFormatter: (cell) => make("span", {}, cell.getValue()) },
      columns: columns.map((column) => this.complete(column)),
    };
    this.label = label;
  }

  complete({ text, node, decorate, ...column }) {
    const formatter = (cell) => {
      const row = cell.getData();
      if (decorate) decorate(cell.getElement(), row);
      if (node) return node(row) ?? document.createTextNode("");
      const value = text ? text(row) : row[column.field];
      return document.createTextNode(Array.isArray(value) ? value.join(", ") : value ?? "");
    };
    const compare = (one, other) => (typeof one === "number" && typeof other === "number" ? one - other : compareTexts(String(one ?? ""), String(other ?? "")));
    return {
      sorter: compare, formatter,
      ...column,
    };
  }

  /** Build the table once its place is in the page: Tabulator measures what it draws. */
  mount() {
    if (this.table) return this.ready;
    this.table = new Tabulator(this.box, this.options);
    this.table.on("tableBuilt", () => { this.listen(); this.resolve(); });
    this.table.on("dataProcessed", () => { this.rows = null; });
    this.table.on("dataSorted", (sorters) => {
      this.rows = null;
      const order = sorters.length ? `${sorters[0].column.getDefinition().title}:${sorters[0].dir}` : "";
      if (order === (this.order ?? "")) return;
      this.order = order;
      this.sorted?.(order);
    });
    this.table.on("rowClick", (event, row) => {
      const field = event.target.closest("[tabulator-field]")?.getAttribute("tabulator-field");
      if (!event.target.closest("button, a")) this.open?.(row.getData(), field);
    });
    return this.ready;
  }

  /** Show rows in an order, "Title:asc" or "Title:desc", or as they come; one after the other, if asked again meanwhile. */
  setRows(rows, order = "") {
    this.queue = this.queue.then(() => this.fill(rows, order));
    return this.queue;
  }

  async fill(rows, order) {
    await this.mount();
    if (order !== (this.order ?? "")) {
      this.order = order;
      const [, title, direction] = /^(.*):(asc|desc)$/s.exec(order) ?? [];
      const column = this.table.getColumns().find((one) => one.getDefinition().title === title);
      if (column) this.table.setSort(column.getField(), direction); else this.table.clearSort();
    }
    this.rows = null;
    this.place = { row: 0, column: 0 };
    this.unmark();
    await this.table.setData(rows);
    this.box.setAttribute("aria-label", `${this.label}: ${plural(rows.length, "row")}; arrow keys move${this.open ? ", Enter opens" : ""}`);
  }

  listen() {
    this.holder = this.box.querySelector(".tabulator-tableholder");
    // The grid as a whole has the focus, and says which of its cells is meant: ARIA's pattern for grids.
    this.holder.removeAttribute("tabindex");
    this.box.tabIndex = 0;
    this.box.addEventListener("keydown", (event) => this.press(event));
    this.box.addEventListener("focus", () => { if (this.box.matches(":focus-visible")) this.go(0, 0); });
    this.box.addEventListener("blur", () => this.unmark());
    if (this.describe) {
      this.box.addEventListener("mouseover", (event) => {
        const cell = event.target.closest(".tabulator-cell");
        if (!cell) return;
        const row = this.table.getRows("visible").find((one) => one.getElement().contains(cell));
        if (row) this.explain(row.getData(), cell.getAttribute("tabulator-field"), cell);
      });
      this.box.addEventListener("mouseleave", () => this.hush());
      // A cell moved to by the keyboard is scrolled to, and its line follows it.
      this.holder.addEventListener("scroll", () => { const cell = this.box.querySelector(".at"); if (cell) this.say(this.line.textContent, cell); else this.hush(); });
    }
  }

  press(event) {
    const page = Math.max(1, Math.floor(this.holder.clientHeight / this.options.rowHeight) - 1);
    const steps = {
      ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageUp: [-page, 0], PageDown: [page, 0],
      Home: event.ctrlKey ? [-Infinity, -Infinity] : [0, -Infinity], End: event.ctrlKey ? [Infinity, Infinity] : [0, Infinity],
    };
    if (event.target !== this.box && event.target !== this.holder) return;
    if (event.key in steps) { event.preventDefault(); this.go(...steps[event.key]); }
    else if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.enter(); }
  }

  /** Move to a cell; above the first row stand the headers, where Enter sorts. */
  async go(down, right) {
    this.rows ??= this.table.getRows("active");
    const columns = this.table.getColumns();
    const clamp = (value, most) => Math.max(0, Math.min(most, value));
    const wanted = this.place.row + down;
    this.place = {
      row: wanted === -1 && down === -1 ? -1 : clamp(wanted, this.rows.length - 1),
      column: clamp(this.place.column + right, columns.length - 1),
    };
    const column = columns[this.place.column];
    const row = this.place.row === -1 ? undefined : this.rows[this.place.row];
    if (row) await this.table.scrollToRow(row, "nearest", false).catch(() => {});
    const element = row ? row.getCell(column).getElement() : column.getElement();
    this.unmark();
    element.classList.add("at");
    element.id = `${this.holderId}-at`;
    this.box.setAttribute("aria-activedescendant", element.id);
    if (row) this.explain(row.getData(), column.getField(), element); else this.say(`${column.getDefinition().title}: Enter sorts`, element);
    if (!column.getDefinition().frozen) await this.table.scrollToColumn(column, "middle", false).catch(() => {});
  }

  unmark() {
    this.hush();
    for (const element of this.box.querySelectorAll(".at")) { element.classList.remove("at"); element.removeAttribute("id"); }
    this.box.removeAttribute("aria-activedescendant");
  }

  enter() {
    const column = this.table.getColumns()[this.place.column];
    if (this.place.row === -1) {
      const now = this.table.getSorters().find((sorter) => sorter.field === column.getField());
      const next = now ? (now.dir === "asc" ? "desc" : "asc") : column.getDefinition().headerSortStartingDir ?? "asc";
      this.table.setSort(column.getField(), next);
      announce(`Sorted by ${column.getDefinition().title}, ${next === "asc" ? "ascending" : "descending"}`);
    } else if (this.rows?.[this.place.row]) {
      this.open?.(this.rows[this.place.row].getData(), column.getField());
    }
  }

  explain(row, field, cell) { if (this.describe) this.say(this.describe(row, field), cell); }

  /** Say something next to a cell: below it, or above where there is no room, within the window. */
  say(text, cell) {
    this.line.textContent = text;
    this.line.classList.toggle("shown", Boolean(text));
    if (!text || !this.describe) return;
    const { left, top, bottom } = cell.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.line;
    this.line.style.left = `${Math.max(8, Math.min(left, document.documentElement.clientWidth - width - 8))}px`;
    this.line.style.top = `${bottom + height + 12 < innerHeight ? bottom + 6 : Math.max(4, top - height - 6)}px`;
  }

  hush() { this.line.classList.remove("shown"); }
}

/** Colours for lines that colour-blind readers distinguish (Okabe and Ito), and a dash for each, for no colour at all. */
const LINES = 8;
const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3]];
const CHART_FONT = "12px system-ui, sans-serif";
/** The longest name below a chart; the legend has it whole. */
const LONGEST_TICK = 24;
/** Steps between counts: 1, 2, 5, 10, … */
const WHOLE_STEPS = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

/** Pixels that the widest of some texts takes below a chart. */
function measureWidest(texts) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = CHART_FONT;
  return Math.max(0, ...texts.map((text) => context.measureText(text).width));
}

/** The ends of a scale of its own: a little more than what the lines reach, and not below zero. */
function fitScale(lines) {
  const known = lines.flatMap(({ values }) => values).filter((value) => value !== null && value !== undefined);
  if (!known.length) return [0, 1];
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const room = Math.max((high - low) * 0.1, high * 0.005, 0.5);
  return [Math.max(0, low - room), high + room];
}

/**
 * A line chart over snapshots, from zero or on a scale of its own. `x` are {label, date, tick}; `lines` are {label, values}; an unknown value, null,
 * breaks the line. `whole` values have no ticks between them.
 */
function drawChart(place, { title, x, lines, unit, whole = false, fromZero = false, height = 260 }) {
  place.replaceChildren();
  const timed = x.every(({ date }) => date);
  const probe = make("span", { class: "axis-colour" });
  place.append(probe);
  const ink = getComputedStyle(probe).color;
  const grid = getComputedStyle(probe).borderTopColor;
  probe.remove();
  const at = x.map(({ date }, index) => (timed ? Date.parse(`${date}T00:00:00Z`) / 1000 : index));
  const resolve = (index) => { probe.style.color = `var(--line-${(index % LINES) + 1})`; place.append(probe); const colour = getComputedStyle(probe).color; probe.remove(); return colour; };
  const shorten = (name) => (name.length > LONGEST_TICK ? `${name.slice(0, LONGEST_TICK - 1)}…` : name);
  const names = new Map(at.map((one, index) => [one, timed ? x[index].tick : shorten(x[index].label)]));
  const widest = measureWidest([...names.values()]);
  // As many dates or names as there is room for, each that of a snapshot.
  const splits = (self) => { const step = Math.max(1, Math.ceil((x.length * (widest + 20)) / self.width)); return at.filter((_, index) => (x.length - 1 - index) % step === 0); };
  // The first and the last stand at the chart's edges.
  const half = widest / 2 + 8;
  const scaleWidth = 64;
  const showLast = (self) => self.setLegend({ idx: x.length - 1 });
  const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 }, font: CHART_FONT };
  const chart = new uPlot({
    // Until the pointer asks for another snapshot, the legend shows the last.
    hooks: { ready: [showLast], setCursor: [(self) => { if (self.cursor.idx === null || self.cursor.idx === undefined) showLast(self); }] },
    width: Math.max(280, place.clientWidth), height, padding: [12, half, 0, Math.max(0, half - scaleWidth)], cursor: { drag: { x: false, y: false } },
    scales: { x: { time: timed }, y: { range: (self, low, high) => (fromZero ? [0, high > 0 ? high * 1.05 : 1] : fitScale(lines)) } },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    axes: [
      { ...axis, splits, values: (self, ticks) => ticks.map((one) => names.get(one)) },
      { ...axis, size: scaleWidth, values: (self, ticks) => ticks.map(show), ...(whole ? { incrs: WHOLE_STEPS } : {}) },
    ],
    series: [
      { label: "Snapshot", value: (self, value, series, index) => (index === null || index === undefined ? "" : x[index].label) },
      ...lines.map(({ label }, index) => ({
        label, stroke: resolve(index), width: 2, dash: DASHES[Math.floor(index / LINES) % DASHES.length], points: { show: true, size: 6 },
        value: (self, value) => show(value), spanGaps: false,
      })),
    ],
  }, [at, ...lines.map(({ values }) => values)], place);
  chart.root.setAttribute("role", "img");
  chart.root.setAttribute("aria-label", `${title}, ${unit}; the numbers stand in the table below`);
  return chart;
}

/** A plain table, for few rows; a cell is a text, a number or a node. */
function makeTable(caption, headers, rows) {
  return make("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": caption }, make("table", {},
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, headers.map((header, index) => make("th", { scope: "col", class: rows.some((row) => typeof row[index] === "number" || row[index]?.matches?.(".gained, .lost, span.quiet")) ? "number" : null }, header)))),
    make("tbody", {}, rows.map((row) => make("tr", {}, row.map((cell, index) => {
      const number = typeof cell === "number" || cell === null || cell?.matches?.(".gained, .lost, span.quiet");
      return make(index ? "td" : "th", { scope: index ? null : "row", class: number ? "number" : null }, typeof cell === "number" || cell === null ? show(cell) : cell ?? "");
    }))))));
}
