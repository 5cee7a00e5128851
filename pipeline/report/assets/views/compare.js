"use strict";
// This snapshot beside any other: its page lies beside this one, and holds its specs.

class Compare {
  constructor(app) { this.app = app; }

  build(section) {
    this.others = [];
    this.filters = new Filters("Compare", [
      { name: "with", label: "Compare with", kind: "select", options: () => [["", "choose a snapshot"], ...this.others.map(({ snapshot }) => [snapshot, snapshot])] },
      { name: "q", label: "Package", kind: "text" },
    ], (values) => this.app.change("compare", values));
    this.summary = make("p", { class: "summary", role: "status" });
    this.place = make("div");
    section.append(this.filters.element, this.summary, this.place);
  }

  async show(values) {
    this.others = await this.app.neighbours.list();
    this.filters.set(values);
    this.place.replaceChildren();
    const { facts } = this.app.data;
    if (!values.with) { this.summary.textContent = "Choose the snapshot that this one is compared with."; return; }
    this.summary.textContent = `Reading ${values.with} …`;
    let other;
    try {
      other = await this.app.neighbours.read(values.with);
    } catch (error) {
      this.summary.textContent = `${values.with} could not be read: ${error.message}`;
      this.place.append(make("p", {}, "In a shell: "), makeCommand(`spack-warehouse diff ${quoteShell(values.with)} ${quoteShell(facts.snapshot)}`));
      return;
    }
    // Another may have been asked for meanwhile.
    if (this.app.read().values.with === values.with) this.draw(other, values);
  }

  draw(other, values) {
    const { data } = this.app;
    const wanted = values.q ? matchPackage(values.q, [...data.packages, ...other.packages]) : () => true;
    const [before, now] = [other, data].map((one) => describePackages(one, wanted));
    const came = [...now.keys()].filter((name) => !before.has(name));
    const left = [...before.keys()].filter((name) => !now.has(name));
    const hashes = [other, data].map((one) => one.hashesOf(wanted));
    const kept = [...hashes[0]].filter((hash) => hashes[1].has(hash)).length;
    const doubtful = [other, data].flatMap((one) => one.facts.not_loaded.map((line) => `${one.facts.snapshot}: ${line}`));
    this.summary.textContent = `${data.facts.snapshot} has ${plural(came.length, "package")} that ${other.facts.snapshot} has not, and lacks ${show(left.length)}`;
    const rows = [...new Set([...before.keys(), ...now.keys()])].map((name) => {
      const [then, here] = [before.get(name), now.get(name)];
      const newest = [then, here].map((one) => one?.newest ?? null);
      const stacks = [...(then?.stacks ?? [])].filter((stack) => !here?.stacks.has(stack));
      const more = [...(here?.stacks ?? [])].filter((stack) => !then?.stacks.has(stack));
      return { package: name, change: !then ? "gained" : !here ? "lost" : stacks.length ? "in fewer stacks" : more.length ? "in more stacks" : newest[0] !== newest[1] ? "version" : "", before: newest[0] ?? "", now: newest[1] ?? "", lost: sorted(stacks), gained: sorted(more) };
    }).filter((row) => row.change);
    const order = ["lost", "in fewer stacks", "gained", "in more stacks", "version"];
    rows.sort((a, b) => order.indexOf(a.change) - order.indexOf(b.change) || b.lost.length - a.lost.length || compareTexts(a.package, b.package));
    const grid = new Grid({
      label: "Packages that differ", empty: "No package differs.", height: "min(70vh, 40rem)",
      open: (row) => this.app.go("find", { package: row.package }),
      columns: [
        { title: "Package", field: "package", frozen: true, width: this.app.nameWidth }, { title: "Change", field: "change", width: 130 },
        { title: `Newest in ${other.facts.snapshot}`, field: "before", width: 270 }, { title: "Newest here", field: "now", width: 150 },
        { title: "Stacks that lost it", field: "lost", width: 320 }, { title: "Stacks that gained it", field: "gained", width: 320 },
      ],
    });
    const stacks = sorted(new Set([...other.packagesByStack().keys(), ...data.packagesByStack().keys()])).map((stack) => {
      const [then, here] = [other, data].map((one) => [...(one.packagesByStack().get(stack) ?? [])].filter(wanted));
      return [stack, then.length, here.length, changeOf(here.length - then.length), changeOf(-then.filter((name) => !here.includes(name)).length), changeOf(here.filter((name) => !then.includes(name)).length)];
    });
    this.place.append(
      make("p", {}, make("a", { href: this.app.neighbours.address(other.facts.snapshot) }, `The page of ${other.facts.snapshot}`)),
      doubtful.length ? make("p", { class: "quiet" }, `What is missing there may not be lost. ${doubtful.join("; ")}.`) : "",
      makeTable("Specs by hash", ["", "specs"], [[`in both`, kept], [`in ${other.facts.snapshot} alone`, hashes[0].size - kept], ["here alone", hashes[1].size - kept]]),
      makeTable("Packages by stack", ["stack", other.facts.snapshot, data.facts.snapshot, "change", "lost", "gained"], stacks),
      make("h3", {}, `Packages that differ: ${show(rows.length)}`), grid.element);
    return grid.setRows(rows);
  }
}

/** By package its newest version in Spack's order and its stacks. */
function describePackages(data, wanted) {
  const { columns } = data.specs;
  const found = new Map();
  for (const row of data.all) {
    const name = columns.package.at(row);
    if (!wanted(name)) continue;
    if (!found.has(name)) found.set(name, { code: -1, stacks: new Set() });
    const one = found.get(name);
    one.code = Math.max(one.code, columns.version.codes[row]);
    for (const stack of columns.stacks.at(row)) one.stacks.add(stack);
  }
  for (const one of found.values()) one.newest = columns.version.values[one.code];
  return found;
}

/** The other snapshots whose pages lie in folders beside this one's. */
class Neighbours {
  constructor(data) {
    this.data = data;
    this.found = null;
    this.folders = new Map(data.snapshots.map(({ snapshot, folder }) => [snapshot, folder]));
    this.pages = new Map();
  }

  address(snapshot) { return `../${encodeURIComponent(this.folders.get(snapshot))}/report.html`; }

  /** Those that the index beside them names; from a disk, where no page may read another, those of the warehouse. */
  list() {
    this.found ??= this.readIndex();
    return this.found;
  }

  async readIndex() {
    const here = this.data.facts.snapshot;
    try {
      if (!location.protocol.startsWith("http")) throw new Error("no index to read");
      const index = await (await fetch("../index.json")).json();
      const held = index.snapshots.filter(({ reports }) => reports.some(({ format }) => format === "html"));
      for (const { snapshot, folder } of held) this.folders.set(snapshot, folder);
      const order = this.data.snapshots.map(({ snapshot }) => snapshot);
      const rank = (snapshot) => (order.includes(snapshot) ? order.indexOf(snapshot) : order.length);
      return held.filter(({ snapshot }) => snapshot !== here).sort((one, other) => rank(one.snapshot) - rank(other.snapshot) || compareTexts(other.snapshot, one.snapshot));
    } catch {
      return this.data.snapshots.filter(({ snapshot }) => snapshot !== here);
    }
  }

  /** The data of another snapshot, out of its page. */
  async read(snapshot) {
    if (!this.pages.has(snapshot)) {
      if (!this.folders.has(snapshot)) throw new Error("there is no report of it beside this page");
      if (!location.protocol.startsWith("http")) throw new Error("a page that is opened from a disk may read no other");
      const answer = await fetch(this.address(snapshot));
      if (!answer.ok) throw new Error(`its report is not there (HTTP ${answer.status})`);
      const text = /<script type="text\/plain" id="data">([A-Za-z0-9+/=]*)<\/script>/.exec(await answer.text());
      if (!text) throw new Error("its report holds no data");
      this.pages.set(snapshot, new Warehouse(await readData(text[1])));
    }
    return this.pages.get(snapshot);
  }
}

/** Fill the switch of snapshots; a choice leads to the same view of that snapshot. */
function setUpSwitch(neighbours, here) {
  const choice = document.getElementById("snapshot");
  const fill = (names) => {
    choice.replaceChildren(...[here, ...names.filter((name) => name !== here)].map((name) => make("option", { value: name }, name)));
    choice.value = here;
  };
  fill(neighbours.data.snapshots.map(({ snapshot }) => snapshot));
  // Which of them are there is asked when somebody is about to choose: a page alone has nobody to ask.
  choice.addEventListener("focus", async () => fill((await neighbours.list()).map(({ snapshot }) => snapshot)), { once: true });
  choice.addEventListener("change", () => { if (choice.value !== here) location.href = `${neighbours.address(choice.value)}${location.hash}`; });
}
