"use strict";
// What became of the snapshot: what stacks lost and gained since the one before, and every loss.

const MOST_LOSSES = 15;

/** A cause as the site calls it, too: where the hash alone changed, no page or old index says why. */
const nameCause = (cause) => (cause === "unknown" ? "built again" : cause);

class Overview {
  constructor(app) { this.app = app; }

  build(section) {
    const { data } = this.app;
    this.place = make("div");
    section.append(this.place);
    this.first = section.parentElement.querySelector(".first");
    if (data.previous) {
      this.listLosses();
      this.listGains();
      this.buildStacks();
      this.buildChanges();
    }
    this.buildProblems();
  }

  /** The packages that stacks lost, those that the most stacks and packages miss first; each leads to its losses. */
  listLosses() {
    const { data } = this.app;
    const gone = new Set([...data.tables.turnover].filter(({ change }) => change === "lost").map((row) => row.package));
    const item = ({ package: name, stacks, followers, needed }) => make("li", {},
      make("span", { class: "lost", "aria-hidden": "true" }, "− "),
      make("a", { href: this.app.link("overview", { cause: "*", q: name }) }, name),
      make("span", { class: "quiet" }, ` lost by ${plural(stacks.length, "stack")}${stacks.length < 4 ? ` (${stacks.join(", ")})` : ""}${gone.has(name) ? ", no stack has it" : ""}`
        + `${followers.size ? `, ${plural(followers.size, "package")} went with it` : ""}${needed ? `, ${plural(needed, "package")} needed it` : ""}`));
    this.first.append(make("h3", {}, `Packages that stacks lost: ${show(data.losses.length)}`),
      ...(data.losses.length ? foldList(data.losses.map(item), MOST_LOSSES, "ol", { class: "losses" }) : [make("p", { class: "quiet" }, "None.")]));
  }

  listGains() {
    const { turnover } = this.app.data.tables;
    const names = (wanted) => [...turnover].filter(wanted).map((row) => row.package);
    const came = names(({ change, proven }) => change === "gained" && proven);
    const unknown = names(({ proven }) => !proven);
    const link = (name) => make("li", {}, make("a", { href: this.app.link("find", { package: name }) }, name));
    if (came.length) this.first.append(make("h3", {}, `Packages that came: ${show(came.length)}`), ...foldList(came.map(link), 30, "ul", { class: "names" }));
    if (unknown.length) this.first.append(make("p", { class: "quiet" }, `Not known to be lost or gained, because a source did not load whole: ${cut(unknown)}.`));
  }

  /** A bar per stack: what it kept, lost and gained; the most changed first. */
  buildStacks() {
    const { data } = this.app;
    const { presence, stacks: before } = data.tables;
    const held = data.packagesByStack();
    const rows = new Map();
    const of = (stack) => {
      if (!rows.has(stack)) rows.set(stack, { stack, now: held.get(stack)?.size ?? 0, before: 0, state: "held", lost: [], gained: [] });
      return rows.get(stack);
    };
    for (const stack of held.keys()) of(stack);
    for (const { stack, packages, state } of before) Object.assign(of(stack), { before: packages, state });
    for (const { change, stack, package: name } of presence) of(stack)[change].push(name);
    const listed = [...rows.values()].sort((one, other) => Number(one.state !== "unknown") - Number(other.state !== "unknown")
      || other.lost.length + other.gained.length - one.lost.length - one.gained.length || compareTexts(one.stack, other.stack));
    const whole = Math.max(...listed.map((one) => Math.max(one.now, one.before) + one.lost.length), 1);
    const cells = ({ stack, now, before: then, state, lost, gained }) => {
      const known = state !== "unknown";
      return [
        make("span", {}, this.app.siteLink("stack", stack), state === "held" ? null : make("span", { class: known ? "lost" : "quiet" }, known ? ` ${state}` : " not known: its source did not load")),
        makeBar([{ size: now - gained.length, kind: known ? "kept" : "unknown" }, { size: gained.length, kind: "gained" }, { size: lost.length, kind: "lost" }], whole),
        known || now ? now : null, known ? changeOf(now - then) : changeOf(null), lost.length ? changeOf(-lost.length) : changeOf(0), changeOf(gained.length),
        lost.length ? make("a", { href: this.app.link("overview", { stack }) }, cut(this.headsOf(stack), 3)) : "",
      ];
    };
    this.place.append(make("h3", {}, "Stacks"),
      make("p", { class: "quiet legend" }, make("span", { class: "is-kept" }), " packages there before and now ", make("span", { class: "is-gained" }), " gained ", make("span", { class: "is-lost" }), " lost; the most changed first"),
      makeTable("What each stack holds, lost and gained", ["stack", make("span", { class: "vh" }, "bar"), "packages", "change", "lost", "gained", "lost packages, and how many went with each"], listed.map(cells)));
  }

  /** The losses of a stack by their heads: "hdf5 and 3 with it". */
  headsOf(stack) {
    const heads = new Map();
    for (const row of this.app.data.tables.presence) {
      if (row.change === "lost" && row.stack === stack) heads.set(row.head, (heads.get(row.head) ?? 0) + Number(row.head !== row.package));
    }
    return [...heads].sort((one, other) => other[1] - one[1] || compareTexts(one[0], other[0])).map(([head, count]) => (count ? `${head} and ${show(count)} with it` : head));
  }

  buildChanges() {
    const { data } = this.app;
    const { lost, gained } = data.tables;
    const causes = new Map(data.causes.map((cause) => [cause, { packages: new Set(), stacks: new Set(), specs: 0 }]));
    for (const row of lost) {
      const one = causes.get(row.cause);
      one.packages.add(row.package); one.stacks.add(row.stack); one.specs += row.specs;
    }
    this.impact = new Map(data.losses.map(({ package: name }, index) => [name, index]));
    this.rank = (row) => this.impact.get(row.package) ?? this.impact.size;
    this.place.append(makeTable("Specs that stacks no longer hold, by cause", ["cause", "packages", "stacks", "specs"],
      [...causes].filter(([, one]) => one.specs).map(([cause, one]) => [nameCause(cause), one.packages.size, one.stacks.size, one.specs])));
    this.filters = new Filters("Filter losses", [
      { name: "cause", label: "Cause", kind: "select", options: () => [["", "all but mere rebuilds"], ["*", "all"], ...data.causes.map((cause) => [cause, nameCause(cause)])] },
      { name: "stack", label: "Stack", kind: "select", options: () => asOptions(sorted(lost.columns.stack.values)) },
      { name: "q", label: "Package", kind: "text" },
    ], (values) => this.app.change("overview", values));
    this.grid = new Grid({
      label: "Losses", height: "min(60vh, 32rem)", empty: "No such loss.", sorted: this.app.sorter("overview"),
      open: (row) => this.app.go("find", { package: row.package, stack: row.stack }),
      columns: [
        { title: "Package", field: "package", frozen: true, width: this.app.nameWidth },
        { title: "Stack", field: "stack", width: 220 }, { title: "Version", field: "version", width: 110 }, { title: "Compiler", field: "compiler", width: 150 },
        { title: "Target", field: "target", width: 120 }, { title: "Cause", field: "cause", width: 240, text: (row) => nameCause(row.cause), sorter: (one, other) => data.causes.indexOf(one) - data.causes.indexOf(other) },
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
    this.heading = make("h3", { id: "losses", tabindex: "-1" }, "Every loss");
    this.place.append(this.heading, this.filters.element, this.summary, this.grid.element, more);
  }

  buildProblems() {
    const { rejects, mismatches } = this.app.data.tables;
    for (const [title, table, names] of [["Rejects", rejects, ["path", "place", "reason"]], ["Mismatches of the pages’ own counts", mismatches, ["package", "field", "said", "found"]]]) {
      if (!table.rows) continue;
      this.place.append(make("details", { class: "problems" }, make("summary", {}, `${title}: ${plural(table.rows, "row")} shown`),
        makeTable(title, names, [...table].map((row) => names.map((name) => String(row[name]))))));
    }
  }

  async show(values, arrived) {
    if (!this.grid) return;
    this.filters.set(values);
    const { causes, rebuilt, tables: { lost } } = this.app.data;
    const wanted = values.q ? matchPackage(values.q, lost.columns.package.values) : () => true;
    const rows = [...lost].filter((row) => (values.cause === "*" || (values.cause ? row.cause === values.cause : !rebuilt.includes(row.cause)))
      && (!values.stack || row.stack === values.stack) && wanted(row.package))
      .sort((one, other) => causes.indexOf(one.cause) - causes.indexOf(other.cause) || this.rank(one) - this.rank(other));
    const specs = plural(rows.reduce((sum, row) => sum + row.specs, 0), "spec");
    const stacks = new Set(rows.map((row) => row.stack)).size;
    this.heading.textContent = values.q ? `Losses of ${values.q}` : values.stack ? `Losses of ${values.stack}` : "Every loss";
    this.summary.replaceChildren(`${plural(rows.length, "row")}, ${specs} of ${plural(stacks, "stack")}`, ...this.app.pageLink(values.q));
    await this.grid.setRows(rows, values.sort);
    // Whoever came by a link is led to what it is about: it may be screens away.
    if (arrived && (values.q || values.stack || values.cause)) { this.heading.scrollIntoView(); this.heading.focus({ preventScroll: true }); }
  }
}
