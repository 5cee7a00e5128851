"use strict";
// What a machine can use, and why not the rest.

/** What a host's libc may be to a spec, as usable_on says it. */
const LIBC_ANSWERS = ["ok", "none needed", "unknown", "too old", "other libc"];

class Host {
  constructor(app) { this.app = app; }

  build(section) {
    const { data } = this.app;
    const { columns } = data.specs;
    const hosts = [...data.tables.hosts];
    const known = new Set(hosts.map(({ target }) => target));
    const releases = columns.platform.values.includes("darwin") ? data.tables.releases.columns.os.values : [];
    const systems = sorted(new Set([...columns.os.values, ...releases]));
    this.filters = new Filters("This machine", [
      { name: "host", label: "I am on", kind: "select", options: () => [...hosts.map(({ target, machines }) => [target, `${target}: ${machines}`, "Well known"]), ...sorted(data.runs.keys()).filter((target) => !known.has(target)).map((target) => [target, target, "All that archspec knows"])] },
      { name: "compiler", label: "with", kind: "select", options: () => [["", "any compiler"], ...columns.compiler_family.values.filter((family) => family !== "none").map((family) => [family, `${family} or no compiled code`])] },
      { name: "os", label: "OS", kind: "select", options: () => asOptions(systems) },
      { name: "libc", label: "C library", kind: "text", placeholder: "2.35", suggest: () => columns.libc.values, hint: "2.35 is glibc’s (ldd --version), else glibc@2.35 or musl@1.2.4", understands: (value) => parseLibc(value) !== null },
      { name: "libcpath", label: "Its path", kind: "text", placeholder: "/usr", suggest: () => columns.libc_path.values, hint: "where the C library lies; by default not compared" },
      { name: "platform", label: "Platform", kind: "select", options: () => [["", "as the machine’s maker has it"], ...columns.platform.values.map((value) => [value, value])] },
      { name: "q", label: "Package", kind: "text" },
      { name: "show", label: "Show", kind: "select", options: () => [["", "what I can use"], ["missing", "what I cannot"]] },
    ], (values) => this.app.change("host", (values.show === "missing") === this.missing ? values : { ...values, sort: "" }));
    this.summary = make("p", { class: "summary", role: "status" });
    this.note = make("p", { class: "quiet" });
    this.place = make("div");
    section.append(this.filters.element, this.summary, this.note, this.place);
  }

  /** The grid of what can be used, or of what cannot and why. */
  draw(missing) {
    const { data } = this.app;
    this.missing = missing;
    this.grid = new Grid({
      label: "Packages for this machine", empty: "No package.", sorted: this.app.sorter("host"),
      open: (row) => this.app.go("find", { package: row.package, ...(row.specs ? { host: this.asked.host, os: data.listReleases(this.asked.os).size ? "" : this.asked.os, platform: this.asked.platform } : {}) }),
      columns: [
        { title: "Package", field: "package", frozen: true, width: this.app.nameWidth },
        ...(missing ? [{ title: "Why not", field: "why", width: 520 }] : [{ title: "Specs", field: "specs", width: 90, hozAlign: "right", headerSortStartingDir: "desc" },
        { title: "Newest version", field: "newest", width: 165, sorter: (one, other) => (data.versionRank.get(one) ?? -1) - (data.versionRank.get(other) ?? -1) },
        { title: "Best target", field: "best", width: 150 }, { title: "Compilers", field: "compilers", width: 260 }]),
        { title: "C library", field: "libcs", width: 190 },
        ...(missing ? [] : [{ title: "OS", field: "oss", width: 220 }, { title: "Stacks", field: "stacks", width: 420 }]),
      ],
    });
    this.place.replaceChildren(this.grid.element);
  }

  async show(values) {
    const { data } = this.app;
    const { columns } = data.specs;
    const host = values.host ?? "zen4";
    this.asked = { ...values, host };
    this.filters.set(this.asked);
    if (this.missing !== (values.show === "missing")) this.draw(values.show === "missing");
    if (!data.runs.has(host)) {
      this.summary.textContent = `Unknown machine: ${host} is no target that archspec knows. Choose one above.`;
      this.note.textContent = "";
      await this.grid.setRows([], values.sort);
      return;
    }
    const platform = values.platform ?? data.platformOf(host);
    const steps = data.runs.get(host);
    // In the order in which they are listed: the first that a spec fails is why it cannot be used.
    const family = values.compiler ? columns.compiler_family.test((one) => one === values.compiler || one === "none") : () => true;
    const os = values.os ? data.testOs(values.os) : () => true;
    const wanted = values.q ? columns.package.test(matchPackage(values.q, data.packages)) : () => true;
    const found = data.packages.map((name) => ({ package: name, specs: 0, rank: -1, distance: Infinity, compilers: new Set(), oss: new Set(), stacks: new Set(), libcs: new Map(), reasons: new Map(), passes: true }));
    const judge = data.judgeLibcs(values.libc, values.libcpath);
    const misread = values.libc && !parseLibc(values.libc);
    const libcs = new Map(LIBC_ANSWERS.map((answer) => [answer, 0]));
    const checks = [
      [(row) => columns.platform.at(row) === platform, (row) => `for ${columns.platform.at(row)}`],
      [(row) => steps.has(columns.target.at(row)), (row) => (data.runs.has(columns.target.at(row)) ? `for ${columns.target.at(row)}` : `for ${columns.target.at(row)}, of which nothing is known`)],
      [family, (row) => `built by ${columns.compiler_family.at(row)}`],
      [os, (row) => `for ${columns.os.at(row)}`],
    ];
    const reasons = new Map();
    const refuse = (one, reason) => { for (const counts of [one.reasons, reasons]) counts.set(reason, (counts.get(reason) ?? 0) + 1); };
    let specs = 0;
    for (const row of data.all) {
      const one = found[columns.package.codes[row]];
      if (!wanted(row)) { one.passes = false; continue; }
      const failed = checks.find(([passes]) => !passes(row));
      if (failed) refuse(one, failed[1](row));
      if (misread || failed) continue;
      const libc = judge(row);
      libcs.set(libc, libcs.get(libc) + 1);
      one.libcs.set(libc, (one.libcs.get(libc) ?? 0) + 1);
      if (libc === "too old" || libc === "other libc") { refuse(one, libc === "too old" ? `needs ${columns.libc.at(row)}, which is newer` : `needs ${columns.libc.at(row)}${values.libcpath ? ` in ${columns.libc_path.at(row)}` : ""}`); continue; }
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
      ...one, why: one.specs ? "" : this.listReasons(one.reasons, 3), newest: one.rank < 0 ? "" : columns.version.values[one.rank], compilers: sorted(one.compilers), oss: sorted(one.oss), stacks: sorted(one.stacks),
      libcs: LIBC_ANSWERS.filter((answer) => one.libcs.has(answer)).map((answer) => `${answer} ${show(one.libcs.get(answer))}`),
    }));
    const usable = asked.filter((one) => one.specs).length;
    this.summary.textContent = `On ${host} (${platform}): ${show(usable)} of ${plural(asked.length, "package")} can be used (${percent(usable, asked.length)}), ${plural(specs, "spec")}`;
    const unknown = columns.target.values.filter((target) => !data.runs.has(target));
    const runs = [...steps].sort((one, other) => one[1] - other[1] || compareTexts(one[0], other[0])).map(([target]) => target);
    this.note.textContent = `${host} runs binaries for ${runs.join(", ")}. ${values.libc ? `Specs by the C library ${values.libc}${values.libcpath ? ` in ${values.libcpath}` : ""}` : "No C library is given; specs"}: ${LIBC_ANSWERS.filter((answer) => libcs.get(answer)).map((answer) => `${answer} ${show(libcs.get(answer))}`).join(", ") || "none"}.`
      + (libcs.get("unknown") && values.libc ? " Where it is unknown, the source does not say what a spec needs: compare the OS." : "")
      + (unknown.length ? ` Nothing is known of ${unknown.join(", ")}: not counted.` : "");
    if (!usable && !misread) this.summary.textContent += asked.length ? `. Nothing fits: its specs are ${this.listReasons(reasons, 6)}` : `. No package is called ${values.q}`;
    await this.grid.setRows(rows, values.sort);
  }

  /** Why specs cannot be used, those reasons first that hold for the most: "for neoverse_v2 (12), built by cce (3)". */
  listReasons(reasons, most) {
    return cut([...reasons].sort((one, other) => other[1] - one[1] || compareTexts(one[0], other[0])).map(([reason, count]) => `${reason} (${show(count)})`), most);
  }
}
