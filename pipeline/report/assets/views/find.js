"use strict";
// The specs that a question in Spack's syntax fits.

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
      { name: "q", label: "Spec", kind: "text", wide: true, suggest: () => data.packages, placeholder: "hdf5@1.14: +mpi %gcc target=x86_64_v3:", hint: "as in Spack; a part of a name or a pattern with * finds all such packages" },
      { name: "package", label: "Package", kind: "text", folded: true, suggest: () => data.packages, hint: "a name, a part of one, or a pattern with *" },
      { name: "version", folded: true, label: "Version", kind: "text", placeholder: "1.2 or 1.2:1.4", hint: "1.2 and all 1.2.x; =1.2 alone; 1.2:1.4, 1.2: or :1.4 a range; several by commas", understands: (value) => data.knowsVersion(value) },
      { name: "variant", folded: true, label: "Variants", kind: "text", placeholder: "+mpi ~cuda fabrics=verbs", suggest: () => sorted(common), hint: "as in Spack, apart by spaces" },
      { name: "stack", label: "Stack", kind: "select", options: () => [...asOptions(columns.stacks.values), ["root", "none: in root alone"]] },
      { name: "compiler", folded: true, label: "Compiler", kind: "select", options: () => [...compilerOptions] },
      { name: "target", folded: true, label: "Target", kind: "select", options: () => asOptions(columns.target.values) },
      { name: "platform", folded: true, label: "Platform", kind: "select", options: () => asOptions(columns.platform.values) },
      { name: "os", folded: true, label: "OS", kind: "select", options: () => asOptions(columns.os.values) },
      { name: "host", label: "Runs on", kind: "select", options: () => [["", "any machine"], ...hosts.map(({ target, machines }) => [target, `${target}: ${machines}`, "Well known"]), ...sorted(data.runs.keys()).filter((target) => !known.has(target)).map((target) => [target, target, "All that archspec knows"])], understands: (value) => data.runs.has(value) },
      ...(data.all.some((row) => columns.installable.at(row) !== null) ? [{ name: "installs", label: "Installs", kind: "select", options: () => [["", "or not"], ["yes", "without building"], ["no", "not without building"]] }] : []),
    ], (values) => this.app.change("find", values));
    this.summary = make("p", { class: "summary", role: "status" });
    this.hints = make("div", { class: "hints" });
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
    section.append(this.filters.element, this.summary, this.hints, this.detail, this.grid.element);
  }

  async show({ spec, sort, ...values }) {
    const { data } = this.app;
    this.filters.set(values);
    const rows = data.select(values);
    const packages = new Set(Array.from(rows, (row) => data.specs.columns.package.codes[row]));
    this.summary.textContent = `${plural(rows.length, "spec")} of ${plural(packages.size, "package")}`;
    const asked = values.q ? data.ask(values.q).query?.package : values.package;
    this.summary.append(...this.app.pageLink(asked));
    this.hints.replaceChildren(...this.explain(values, rows.length));
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

  /** What a question fell back to, what else it may have meant, and why nothing fits it. */
  explain({ q, ...others }, count) {
    if (!q) return [];
    const { data } = this.app;
    const { query, tests, within, error } = data.ask(q);
    if (error) return [make("p", {}, `Not understood, so nothing fits: ${error}.`)];
    const lines = [];
    const containing = (name) => data.packages.filter((one) => one !== name && one.toLowerCase().includes(name.toLowerCase()));
    if (within !== undefined && !within.includes("*")) {
      const found = containing(within).length;
      lines.push(make("p", {}, `No package is called ${within}${found ? `: shown are the ${plural(found, "package")} whose names contain it.` : "."}`));
      if (!found) {
        const near = suggestNames(within, data.packages);
        if (near.length) lines.push(make("p", {}, "Near: ", ...near.flatMap((name, index) => [index ? ", " : "", make("a", { href: this.app.link("find", { ...others, q: q.replace(within, name) }) }, name)])));
        return lines;
      }
    } else if (query.package !== undefined) {
      const more = containing(query.package).length;
      if (more) lines.push(make("p", { class: "quiet" }, make("a", { href: this.app.link("find", { ...others, q: q.replace(query.package, `*${query.package}*`) }) }, `${plural(more, "more package contains", "more packages contain")} ${query.package}`)));
    }
    return count ? lines : [...lines, ...this.explainMiss(q, others, tests)];
  }

  explainMiss(q, others, tests) {
    const { data } = this.app;
    const { columns } = data.specs;
    const named = tests.filter(({ axis }) => axis === "package");
    const known = data.all.filter((row) => named.every(({ test }) => test(row)));
    const placed = Object.values(data.makeTests(others));
    const rows = known.filter((row) => placed.every((test) => test(row)));
    if (known.length && !rows.length) {
      const stacks = sorted(new Set(Array.from(known.slice(0, 1000)).flatMap((row) => columns.stacks.at(row))));
      return [make("p", {}, `No spec of it passes the other filters; there are some in ${cut(stacks, 6) || "root alone"}.`)];
    }
    const describe = ({ misses, specs, example }) => make("li", {}, `${plural(specs, "spec")}: ${misses.map(({ axis, asked, found }) => `${axis}: asked ${asked}, has ${found ?? "no such"}`).join("; ")} (such as `,
      make("a", { href: this.app.link("find", { ...others, q, spec: columns.hash.at(example) }) }, `${columns.package.at(example)}@${columns.version.at(example)} /${columns.hash.at(example).slice(0, 7)}`), ")");
    return rows.length ? [make("p", {}, `None of the ${plural(rows.length, "spec")} is ${q}; nearest:`), make("ul", {}, findNearest(tests, rows).map(describe))] : [];
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
    const facts = [
      ["Compiler", spec.compiler === "none" ? "none: no compiled code" : spec.compiler], ["Target", `${spec.platform}-${spec.os}-${spec.target}`],
      ["Stacks", spec.stacks.length ? spec.stacks.join(", ") : "none"], ["In root", spec.in_root ? "yes: published" : "no"],
      ["C library", spec.libc ?? (spec.libc_known ? "needs none" : "not known")],
      ["Installs without building", spec.installable === null ? "not known" : spec.installable ? "yes" : `no: missing ${data.listMissing(hash).join(", ")}`],
      ["Size", spec.size_bytes === null ? "not known" : `${show(spec.size_bytes)} bytes`], ["Variants", spec.variants.join(" ") || "none"], ["Hash", spec.hash],
    ];
    this.detail.append(
      make("h3", {}, `${spec.package}@${spec.version}`), close,
      line ? makeCommand(line) : make("p", {}, "No line to install it by: its hash is not spelt as Spack spells them."),
      make("dl", {}, facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
      data.facts.mirror ? make("details", {}, make("summary", {}, "Once before: add the mirror and trust its keys"),
        makeCommand(`spack mirror add ${data.facts.snapshot} ${data.facts.mirror}`), makeCommand("spack buildcache keys --install --trust")) : null,
    );
  }
}
