"use strict";
// The views. Each is made when it is first looked at, and shows what the address asks for.

const ALL = ["", "all"];
const sorted = (values) => [...values].sort(compareTexts);
const asOptions = (values) => [ALL, ...values.map((value) => [value, value])];

/** Heat: 1, 2, 3–4, 5–8, 9–16, 17–32, more. */
const HEAT = [[1, "1"], [2, "2"], [4, "3–4"], [8, "5–8"], [16, "9–16"], [32, "17–32"], [Infinity, "33 +"]];
const heat = (count) => HEAT.findIndex(([most]) => count <= most) + 1;

/** A value that an address may hold, or the first choice instead of any other. */
const choose = (value, ...choices) => (choices.includes(value) ? value : choices[0]);

const cut = (list, most = 24) => (list.length > most ? `${list.slice(0, most).join(", ")} and ${list.length - most} more` : list.join(", "));

/** Links to packages, as a list; a long one is folded. */
function packageList(title, packages, link) {
  const links = (names) => make("ul", { class: "names" }, names.map((name) => make("li", {}, make("a", { href: link(name) }, name))));
  const shown = packages.slice(0, 60);
  return make("div", { class: "change" }, make("h4", {}, `${title}: ${show(packages.length)}`),
    packages.length ? links(shown) : make("p", { class: "quiet" }, "none"),
    packages.length > shown.length ? make("details", {}, make("summary", {}, `${show(packages.length - shown.length)} more`), links(packages.slice(shown.length))) : null);
}

class Overview {
  constructor(app) { this.app = app; }

  build(section) {
    const { data } = this.app;
    this.place = make("div");
    section.append(this.place);
    this.first = section.parentElement.querySelector(".first");
    if (!data.previous) {
      this.place.append(make("p", {}, "There is no earlier snapshot of its kind in the warehouse to compare with."));
    } else {
      this.buildChanges();
    }
    this.buildProblems();
  }

  buildChanges() {
    const { data } = this.app;
    const { lost, gained, presence, turnover } = data.tables;
    const packages = { lost: [], gained: [] };
    const unknown = [];
    for (const { change, package: name, proven } of turnover) (proven ? packages[change] : unknown).push(name);
    const byStack = new Map();
    for (const { change, stack, package: name } of presence) {
      if (!byStack.has(stack)) byStack.set(stack, { lost: [], gained: [] });
      byStack.get(stack)[change].push(name);
    }
    const causes = new Map(data.causes.map((cause) => [cause, { packages: new Set(), stacks: new Set(), specs: 0 }]));
    for (const row of lost) {
      const one = causes.get(row.cause);
      one.packages.add(row.package); one.stacks.add(row.stack); one.specs += row.specs;
    }
    const stacks = sorted(byStack.keys()).sort((one, other) => byStack.get(other).lost.length - byStack.get(one).lost.length);
    this.first.append(make("div", { class: "columns" },
      packageList("Packages lost", packages.lost, (name) => this.app.link("overview", { cause: "*", q: name })),
      packageList("Packages gained", packages.gained, (name) => this.app.link("find", { package: name }))));
    if (unknown.length) this.first.append(make("p", { class: "quiet" }, `Not known to be lost or gained, because a source did not load whole: ${cut(unknown)}.`));
    this.place.append(
      make("div", { class: "columns" },
        stacks.length ? makeTable("Packages that a stack lost or gained", ["stack", "lost", "gained", "lost packages"],
          stacks.map((stack) => [stack, byStack.get(stack).lost.length, byStack.get(stack).gained.length, cut(byStack.get(stack).lost, 8)])) : null,
        makeTable("Specs that stacks hold no more, by cause", ["cause", "packages", "stacks", "specs"],
          [...causes].filter(([, one]) => one.specs).map(([cause, one]) => [cause, one.packages.size, one.stacks.size, one.specs]))),
    );
    this.filters = new Filters("Filter losses", [
      { name: "cause", label: "Cause", kind: "select", options: () => [["", "all but mere rebuilds"], ["*", "all"], ...data.causes.map((cause) => [cause, cause])] },
      { name: "stack", label: "Stack", kind: "select", options: () => asOptions(sorted(lost.columns.stack.values)) },
      { name: "q", label: "Package", kind: "text" },
    ], (values) => this.app.change("overview", values));
    this.grid = new Grid({
      label: "Losses", height: "min(60vh, 32rem)", empty: "No such loss.", sorted: this.app.sorter("overview"),
      open: (row) => this.app.go("find", { package: row.package, stack: row.stack }),
      columns: [
        { title: "Package", field: "package", frozen: true, width: this.app.nameWidth },
        { title: "Stack", field: "stack", width: 220 }, { title: "Version", field: "version", width: 110 }, { title: "Compiler", field: "compiler", width: 150 },
        { title: "Target", field: "target", width: 120 }, { title: "Cause", field: "cause", width: 210, sorter: (one, other) => data.causes.indexOf(one) - data.causes.indexOf(other) },
        { title: "Replaced by", field: "replaced_by", width: 180 }, { title: "Specs", field: "specs", width: 80, hozAlign: "right" },
      ],
    });
    this.gainedGrid = new Grid({
      label: "Gains", height: "min(50vh, 32rem)", empty: "No configuration was gained.",
      open: (row) => this.app.go("find", { package: row.package, version: `=${row.version}` }),
      columns: [
        { title: "Package", field: "package", frozen: true, width: this.app.nameWidth }, { title: "Version", field: "version", width: 110 },
        { title: "Compiler family", field: "compiler_family", width: 150 }, { title: "Target", field: "target", width: 120 }, { title: "OS", field: "os", width: 120 },
        { title: "Stacks", field: "stacks", width: 260 }, { title: "Specs", field: "specs", width: 80, hozAlign: "right" }, { title: "Variants", field: "variants", width: 400 },
      ],
    });
    const more = make("details", { ontoggle: async () => { if (more.open && !this.gainedGrid.table) await this.gainedGrid.setRows([...gained]); } },
      make("summary", {}, `Configurations gained: ${show(gained.rows)}`), this.gainedGrid.element);
    this.summary = make("p", { class: "summary", role: "status" });
    this.place.append(make("h3", {}, "Every loss"), this.filters.element, this.summary, this.grid.element, more);
  }

  buildProblems() {
    const { rejects, mismatches } = this.app.data.tables;
    for (const [title, table, names] of [["Rejects", rejects, ["path", "place", "reason"]], ["Mismatches of the pages’ own counts", mismatches, ["package", "field", "said", "found"]]]) {
      if (!table.rows) continue;
      this.place.append(make("details", { class: "problems" }, make("summary", {}, `${title}: ${plural(table.rows, "row")} shown`),
        makeTable(title, names, [...table].map((row) => names.map((name) => String(row[name]))))));
    }
  }

  async show(values) {
    if (!this.grid) return;
    this.filters.set(values);
    const { lost } = this.app.data.tables;
    const wanted = values.q ? matchPackage(values.q, lost.columns.package.values) : () => true;
    const rows = [...lost].filter((row) => (values.cause === "*" || (values.cause ? row.cause === values.cause : !this.app.data.rebuilt.includes(row.cause)))
      && (!values.stack || row.stack === values.stack) && wanted(row.package));
    this.summary.textContent = `${plural(rows.length, "row")}, ${plural(rows.reduce((sum, row) => sum + row.specs, 0), "spec")}`;
    await this.grid.setRows(rows, values.sort);
  }
}

class Matrix {
  constructor(app) { this.app = app; this.matrices = {}; }

  build(section) {
    this.filters = new Filters("Matrix", [
      { name: "axis", label: "Packages by", kind: "select", options: () => [["", "stack"], ["compiler", "compiler"], ["target", "target"]] },
      { name: "q", label: "Package", kind: "text", hint: "a part of the name, or a pattern with *" },
      { name: "show", label: "Show", kind: "select", options: () => [["", "all packages"], ["gaps", "those lacking somewhere"], ["full", "those held everywhere"]] },
    ], (values) => this.app.change("matrix", (values.axis ?? "stack") === this.axis ? values : { ...values, sort: "" }));
    this.summary = make("p", { class: "summary", role: "status" });
    this.legend = make("div", { class: "legend", "aria-label": "Specs per cell", role: "img" }, "specs: ", make("span", { class: "h0" }, "0"), HEAT.map(([, text], index) => make("span", { class: `h${index + 1}` }, text)));
    this.place = make("div");
    section.append(this.filters.element, make("div", { class: "bar" }, this.summary, this.legend), this.place);
  }

  async show(values) {
    this.filters.set(values);
    const axis = choose(values.axis, "stack", "compiler", "target");
    if (this.axis !== axis) this.draw(axis);
    const { rows, columns, values: count } = this.matrices[axis];
    const wanted = values.q ? matchPackage(values.q, this.app.data.packages) : () => true;
    const chosen = rows.filter((row) => wanted(row.package)
      && (values.show === "gaps" ? row.cells.size < count : values.show === "full" ? row.cells.size === count : true));
    const shown = columns.length < count ? `${show(columns.length)} of ${plural(count, axis)}` : plural(count, axis);
    this.summary.textContent = `${plural(chosen.length, "package")} × ${shown}, the best covered first`;
    await this.grid.setRows(chosen, values.sort);
  }

  draw(axis) {
    const { data } = this.app;
    const matrix = (this.matrices[axis] ??= data.matrix(axis));
    this.axis = axis;
    const cell = (row, code) => row.cells.get(code);
    const tell = (row, { value, code }) => {
      const held = cell(row, code);
      if (!held) return `${row.package} × ${value}: no spec`;
      return `${row.package} × ${value}: ${plural(held.specs, "spec")}; ${held.versions.size === 1 ? "version" : "versions"} ${cut(data.versionsOf(held.versions))}`;
    };
    const byField = new Map(matrix.columns.map((column) => [`c${column.code}`, column]));
    this.grid = new Grid({
      label: `Packages by ${axis}`, wide: true, height: "min(85vh, 60rem)", sorted: this.app.sorter("matrix"), empty: "No such package.",
      describe: (row, field) => (byField.has(field) ? tell(row, byField.get(field)) : `${row.package}: ${plural(row.specs, "spec")} in ${row.cells.size} of ${plural(matrix.values, axis)}`),
      open: (row, field) => this.app.go("find", { package: row.package, ...(byField.has(field) ? { [axis]: byField.get(field).value } : {}) }),
      columns: [
        { title: "Package", field: "package", frozen: true, width: this.app.nameWidth },
        {
          title: `${axis}s`, field: "covered", headerVertical: "flip", width: 46, hozAlign: "right", cssClass: "sum", headerSortStartingDir: "desc",
          text: (row) => String(row.cells.size), sorter: (one, other, a, b) => a.getData().cells.size - b.getData().cells.size,
        },
        { title: "specs", field: "specs", headerVertical: "flip", width: 58, hozAlign: "right", cssClass: "sum", headerSortStartingDir: "desc", text: (row) => show(row.specs) },
        ...matrix.columns.map((column) => ({
          title: column.value, field: `c${column.code}`, headerVertical: "flip", width: 36, hozAlign: "center", headerSortStartingDir: "desc",
          titleFormatter: () => make("span", { class: "turned", title: `${column.value}: ${plural(column.packages, "package")}, ${plural(column.specs, "spec")}` },
            make("b", {}, `${percent(column.packages, matrix.totalFor(column.value))} `), column.value),
          text: (row) => { const held = cell(row, column.code); return held ? String(held.specs) : ""; },
          decorate: (element, row) => { const held = cell(row, column.code); element.classList.add(held ? `h${heat(held.specs)}` : "h0"); },
          sorter: (one, other, a, b) => (cell(a.getData(), column.code)?.specs ?? 0) - (cell(b.getData(), column.code)?.specs ?? 0),
          tip: (row) => tell(row, column).replace(": ", "\n").replace("; ", "\n"),
        })),
      ],
    });
    this.place.replaceChildren(this.grid.element);
  }
}

class Find {
  constructor(app) { this.app = app; }

  build(section) {
    const { data } = this.app;
    const { columns } = data.specs;
    const compilers = () => {
      const families = new Map();
      for (let row = 0; row < data.specs.rows; row++) {
        const family = columns.compiler_family.at(row);
        if (!families.has(family)) families.set(family, new Set());
        families.get(family).add(columns.compiler.at(row));
      }
      const options = [ALL];
      for (const family of sorted(families.keys())) {
        const held = sorted(families.get(family));
        if (held.length > 1 || held[0] !== family) options.push([family, `${family}, any`, family]);
        for (const compiler of held) options.push([compiler, compiler, family]);
      }
      return options;
    };
    const compilerOptions = compilers();
    const hosts = [...data.tables.hosts];
    const known = new Set(hosts.map(({ target }) => target));
    const variants = new Map();
    for (const row of data.all) for (const one of columns.variants.at(row)) variants.set(one, (variants.get(one) ?? 0) + 1);
    const common = [...variants].sort((one, other) => other[1] - one[1] || compareTexts(one[0], other[0])).slice(0, 300).map(([one]) => one);
    this.filters = new Filters("Find specs", [
      { name: "package", label: "Package", kind: "text", suggest: () => data.packages, hint: "a name, a part of one, or a pattern with *" },
      { name: "version", label: "Version", kind: "text", placeholder: "1.2 or 1.2:1.4", hint: "1.2 and all 1.2.x; =1.2 alone; 1.2:1.4, 1.2: or :1.4 a range; several by commas", understands: (value) => data.knowsVersion(value) },
      { name: "variant", label: "Variants", kind: "text", placeholder: "+mpi ~cuda fabrics=verbs", suggest: () => sorted(common), hint: "as in Spack, apart by spaces" },
      { name: "stack", label: "Stack", kind: "select", options: () => [...asOptions(columns.stacks.values), ["root", "none: in root alone"]] },
      { name: "compiler", label: "Compiler", kind: "select", options: () => [...compilerOptions] },
      { name: "target", label: "Target", kind: "select", options: () => asOptions(columns.target.values) },
      { name: "platform", label: "Platform", kind: "select", options: () => asOptions(columns.platform.values) },
      { name: "os", label: "OS", kind: "select", options: () => asOptions(columns.os.values) },
      { name: "host", label: "Runs on", kind: "select", options: () => [["", "any machine"], ...hosts.map(({ target, machines }) => [target, `${target}: ${machines}`, "Well known"]), ...sorted(data.runs.keys()).filter((target) => !known.has(target)).map((target) => [target, target, "All that archspec knows"])], understands: (value) => data.runs.has(value) },
    ], (values) => this.app.change("find", values));
    this.summary = make("p", { class: "summary", role: "status" });
    this.detail = make("div", { class: "spec", hidden: true, "aria-live": "polite" });
    this.grid = new Grid({
      label: "Specs", empty: "No spec fits these filters.", height: "min(70vh, 44rem)", sorted: this.app.sorter("find"),
      open: (row) => this.app.change("find", { ...this.filters.values(), spec: row.hash }).then(() => this.detail.scrollIntoView({ block: "nearest" })),
      columns: [
        { title: "Package", field: "package", frozen: true, width: this.app.nameWidth },
        { title: "Install", field: "install", width: 72, headerSort: false, node: (row) => { const line = installLine(row.package, row.hash); return line && copyButton(line, `Copy: ${line}`); } },
        { title: "Version", field: "version", width: 110, sorter: (one, other) => data.versionRank.get(one) - data.versionRank.get(other) },
        { title: "Compiler", field: "compiler", width: 160 }, { title: "Target", field: "target", width: 120 }, { title: "OS", field: "os", width: 115 },
        { title: "Stacks", field: "stacks", width: 240, text: (row) => (row.stacks.length ? row.stacks.join(", ") : "root alone") },
        { title: "Hash", field: "hash", width: 290, cssClass: "code" },
        { title: "Platform", field: "platform", width: 90 },
        { title: "Variants", field: "variants", width: 460, text: (row) => row.variants.join(" "), cssClass: "code" },
      ],
    });
    section.append(this.filters.element, this.summary, this.detail, this.grid.element);
  }

  async show({ spec, sort, ...values }) {
    const { data } = this.app;
    this.filters.set(values);
    const rows = data.select(values);
    const packages = new Set(Array.from(rows, (row) => data.specs.columns.package.codes[row]));
    this.summary.textContent = `${plural(rows.length, "spec")} of ${plural(packages.size, "package")}`;
    // Beside each choice, how many specs it would leave.
    for (const [name, column] of [["stack", "stacks"], ["target", "target"], ["platform", "platform"], ["os", "os"], ["compiler", "compiler"]]) {
      const counts = data.count(values, name, column);
      this.filters.fill(this.filters.fields.find((field) => field.name === name), values[name] ?? "", (value) => counts.get(value));
    }
    this.showSpec(spec);
    const key = JSON.stringify([values, sort]);
    if (key !== this.key) this.grid.setRows(Array.from(rows, (row) => data.specs.row(row)), sort);
    this.key = key;
    await this.grid.queue;
  }

  showSpec(hash) {
    const { data } = this.app;
    const row = hash === undefined ? undefined : data.findHash(hash);
    this.detail.hidden = hash === undefined;
    this.detail.replaceChildren();
    if (hash === undefined) return;
    const close = make("button", { type: "button", class: "close", onclick: () => this.app.change("find", this.filters.values()) }, "Close");
    if (row === undefined) { this.detail.append(make("p", {}, `This snapshot has no spec ${hash}.`), close); return; }
    const spec = data.specs.row(row);
    const line = installLine(spec.package, spec.hash);
    const command = (text) => make("div", { class: "command" }, make("code", {}, text), copyButton(text, `Copy: ${text}`));
    const facts = [
      ["Compiler", spec.compiler === "none" ? "none: no compiled code" : spec.compiler], ["Target", `${spec.platform}-${spec.os}-${spec.target}`],
      ["Stacks", spec.stacks.length ? spec.stacks.join(", ") : "none"], ["In root", spec.in_root ? "yes: published" : "no"],
      ["Size", spec.size_bytes === null ? "not told" : `${show(spec.size_bytes)} bytes`], ["Variants", spec.variants.join(" ") || "none"], ["Hash", spec.hash],
    ];
    this.detail.append(
      make("h3", {}, `${spec.package}@${spec.version}`), close,
      line ? command(line) : make("p", {}, "No line to install it by: its hash is not spelt as Spack spells them."),
      make("dl", {}, facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
      data.facts.mirror ? make("details", {}, make("summary", {}, "Once before: add the mirror and trust its keys"),
        command(`spack mirror add ${data.facts.snapshot} ${data.facts.mirror}`), command("spack buildcache keys --install --trust")) : null,
    );
  }
}

class Host {
  constructor(app) { this.app = app; }

  build(section) {
    const { data } = this.app;
    const { columns } = data.specs;
    const hosts = [...data.tables.hosts];
    const known = new Set(hosts.map(({ target }) => target));
    this.filters = new Filters("This machine", [
      { name: "host", label: "I am on", kind: "select", options: () => [...hosts.map(({ target, machines }) => [target, `${target}: ${machines}`, "Well known"]), ...sorted(data.runs.keys()).filter((target) => !known.has(target)).map((target) => [target, target, "All that archspec knows"])] },
      { name: "compiler", label: "with", kind: "select", options: () => [["", "any compiler"], ...columns.compiler_family.values.filter((family) => family !== "none").map((family) => [family, `${family} or no compiled code`])] },
      { name: "os", label: "OS", kind: "select", options: () => asOptions(columns.os.values) },
      { name: "platform", label: "Platform", kind: "select", options: () => [["", "as the machine’s maker has it"], ...columns.platform.values.map((value) => [value, value])] },
      { name: "q", label: "Package", kind: "text" },
      { name: "show", label: "Show", kind: "select", options: () => [["", "what I can use"], ["missing", "what I cannot"]] },
    ], (values) => this.app.change("host", values));
    this.summary = make("p", { class: "summary", role: "status" });
    this.note = make("p", { class: "quiet" });
    this.grid = new Grid({
      label: "Packages for this machine", empty: "No package.", sorted: this.app.sorter("host"),
      open: (row) => this.app.go("find", { package: row.package, ...(row.specs ? { host: this.asked.host, os: this.asked.os, platform: this.asked.platform } : {}) }),
      columns: [
        { title: "Package", field: "package", frozen: true, width: this.app.nameWidth },
        { title: "Specs", field: "specs", width: 90, hozAlign: "right", headerSortStartingDir: "desc" },
        { title: "Newest version", field: "newest", width: 165, sorter: (one, other) => (data.versionRank.get(one) ?? -1) - (data.versionRank.get(other) ?? -1) },
        { title: "Best target", field: "best", width: 150 }, { title: "Compilers", field: "compilers", width: 260 },
        { title: "OS", field: "oss", width: 220 }, { title: "Stacks", field: "stacks", width: 420 },
      ],
    });
    section.append(this.filters.element, this.summary, this.note, this.grid.element);
  }

  async show(values) {
    const { data } = this.app;
    const { columns } = data.specs;
    const host = values.host ?? "zen4";
    this.asked = { ...values, host };
    this.filters.set(this.asked);
    if (!data.runs.has(host)) {
      this.summary.textContent = `Unknown machine: ${host} is no target that archspec knows. Choose one above.`;
      this.note.textContent = "";
      await this.grid.setRows([], values.sort);
      return;
    }
    const fits = data.testHost(host, values.platform);
    const steps = data.runs.get(host);
    const family = values.compiler ? columns.compiler_family.test((one) => one === values.compiler || one === "none") : () => true;
    const os = values.os ? columns.os.test((one) => one === values.os) : () => true;
    const wanted = values.q ? columns.package.test(matchPackage(values.q, data.packages)) : () => true;
    const found = data.packages.map((name) => ({ package: name, specs: 0, rank: -1, distance: Infinity, compilers: new Set(), oss: new Set(), stacks: new Set(), passes: true }));
    let specs = 0;
    for (const row of data.all) {
      const one = found[columns.package.codes[row]];
      if (!wanted(row)) { one.passes = false; continue; }
      if (!fits(row) || !family(row) || !os(row)) continue;
      specs++;
      one.specs++;
      one.rank = Math.max(one.rank, columns.version.codes[row]);
      const target = columns.target.at(row);
      if (steps.get(target) < one.distance) { one.distance = steps.get(target); one.best = target; }
      one.compilers.add(columns.compiler.at(row));
      one.oss.add(columns.os.at(row));
      for (const stack of columns.stacks.at(row)) one.stacks.add(stack);
    }
    const asked = found.filter(({ passes }) => passes);
    const rows = asked.filter((one) => (values.show === "missing" ? !one.specs : one.specs)).map((one) => ({
      ...one, newest: one.rank < 0 ? "" : columns.version.values[one.rank], compilers: sorted(one.compilers), oss: sorted(one.oss), stacks: sorted(one.stacks),
    }));
    const usable = asked.filter((one) => one.specs).length;
    const platform = values.platform ?? data.platformOf(host);
    this.summary.textContent = `On ${host} (${platform}): ${show(usable)} of ${plural(asked.length, "package")} can be used (${percent(usable, asked.length)}), ${plural(specs, "spec")}`;
    const unknown = columns.target.values.filter((target) => !data.runs.has(target));
    const runs = [...steps].sort((one, other) => one[1] - other[1] || compareTexts(one[0], other[0])).map(([target]) => target);
    this.note.textContent = `${host} runs binaries for ${runs.join(", ")}. Whether its libc is new enough is not told by the caches: compare the OS.`
      + (unknown.length ? ` Nothing is known of ${unknown.join(", ")}: not counted.` : "");
    await this.grid.setRows(rows, values.sort);
  }
}

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
      { name: "series", label: "Snapshots", kind: "select", options: () => this.series.map((one) => [one, one]) },
      { name: "axis", label: "Lines", kind: "select", options: () => [["", "by stack"], ["compiler", "by compiler"], ["target", "by target"]] },
      { name: "measure", label: "Counting", kind: "select", options: () => [["", "packages"], ["specs", "specs"], ["coverage", "coverage in %"]] },
      { name: "q", label: "Only", kind: "text", hint: "a part of the names; else the eight largest" },
    ], (values) => this.app.change("trends", { ...values, ...(values.series === this.usual ? { series: undefined } : {}) }));
    this.totals = make("div", { class: "chart" });
    this.lines = make("div", { class: "chart" });
    this.table = make("div");
    section.append(this.filters.element, make("h3", {}, "Packages and specs of each snapshot"), make("div", { class: "columns" }, this.packages = make("div", { class: "chart" }), this.specs = make("div", { class: "chart" })),
      this.heading = make("h3"), this.lines, this.table);
  }

  show(values) {
    const series = choose(values.series, this.usual, ...this.series);
    this.filters.set({ ...values, series });
    const axis = choose(values.axis, "stack", "compiler", "target");
    const measure = choose(values.measure, "packages", "specs", "coverage");
    const slots = this.slots.filter((slot) => slot.series === series);
    const x = slots.map(({ snapshot, date }) => ({ label: snapshot ?? `none on ${date}`, date }));
    const value = (row) => (measure === "coverage" ? (row.packages === null || !row.packages_total ? null : Math.round((1000 * row.packages) / row.packages_total) / 10) : row[measure]);
    const held = new Map();
    for (const row of this.rows) {
      if (row.series !== series || row.axis !== axis || (values.q && !row.value.toLowerCase().includes(values.q.toLowerCase()))) continue;
      if (!held.has(row.value)) held.set(row.value, new Array(slots.length).fill(null));
      held.get(row.value)[row.position - 1] = value(row);
    }
    const last = (list) => list.findLast((one) => one !== null) ?? 0;
    const lines = [...held].map(([label, list]) => ({ label, values: list }))
      .sort((one, other) => last(other.values) - last(one.values) || compareTexts(one.label, other.label));
    const drawn = values.q ? lines.slice(0, 16) : lines.slice(0, 8);
    const unit = measure === "coverage" ? "coverage in % of packages" : measure;
    this.heading.textContent = `${unit[0].toUpperCase()}${unit.slice(1)} by ${axis}${drawn.length < lines.length ? `: the ${drawn.length} largest of ${lines.length}` : ""}`;
    for (const [place, name] of [[this.packages, "packages"], [this.specs, "specs"]]) {
      drawChart(place, { title: `${name} of each snapshot`, unit: name, x, lines: [{ label: name, values: slots.map((slot) => slot[name]) }], whole: true, height: 200 });
    }
    if (drawn.length) drawChart(this.lines, { title: this.heading.textContent, unit, x, lines: drawn, whole: measure !== "coverage", height: 320 });
    else this.lines.replaceChildren(make("p", {}, "Nothing by that name."));
    this.table.replaceChildren(makeTable(`${series} snapshots: ${unit} by ${axis}`, ["snapshot", "packages", "specs", ...drawn.map(({ label }) => label)],
      slots.map((slot, index) => [x[index].label, slot.packages, slot.specs, ...drawn.map((line) => line.values[index])])));
  }

  redraw(values) { this.show(values); }
}
