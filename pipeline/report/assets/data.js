"use strict";
// The data of the page: decoding, and the questions that the views ask of it. No DOM but the data's own element.

/** One column of a table, as pipeline/report/page.py encodes it: `at(row)` is its value there. */
class Column {
  constructor(encoded, rows) {
    this.rows = rows;
    this.codes = new Int32Array(0);
    if ("c" in encoded) {
      const value = encoded.c;
      if (typeof value === "string") { this.dictionary = [value]; this.codes = new Int32Array(rows); }
      else if (Array.isArray(value)) { this.dictionary = value; this.lists = [value.map((_, index) => index)]; this.codes = new Int32Array(rows); }
      this.at = () => value;
    } else if ("w" in encoded) {
      this.at = (row) => encoded.t.slice(row * encoded.w, (row + 1) * encoded.w);
    } else if ("v" in encoded) {
      this.at = (row) => encoded.v[row];
    } else {
      this.dictionary = encoded.d;
      this.codes = Int32Array.from(encoded.i);
      if (encoded.l) {
        this.lists = encoded.l;
        const spelt = encoded.l.map((list) => list.map((code) => encoded.d[code]));
        this.at = (row) => (this.codes[row] < 0 ? null : spelt[this.codes[row]]);
      } else {
        this.at = (row) => (this.codes[row] < 0 ? null : encoded.d[this.codes[row]]);
      }
    }
  }

  /** The texts of the column in order; of a column without a dictionary none. */
  get values() { return this.dictionary ?? []; }

  /** A test of rows by their text, asked once a text. */
  test(predicate) {
    const passes = this.values.map((text) => predicate(text));
    if (!this.lists) return (row) => this.codes[row] >= 0 && passes[this.codes[row]];
    const some = this.lists.map((list) => list.some((code) => passes[code]));
    return (row) => this.codes[row] >= 0 && some[this.codes[row]];
  }

  /** The same for a column of lists, by the whole list. */
  testLists(predicate) {
    const passes = (this.lists ?? []).map((list) => predicate(list.map((code) => this.dictionary[code])));
    return (row) => this.codes[row] >= 0 && passes[this.codes[row]];
  }
}

class Table {
  constructor(encoded) {
    this.rows = encoded.rows;
    this.columns = Object.fromEntries(
      Object.entries(encoded.columns).map(([name, column]) => [name, new Column(column, encoded.rows)]),
    );
  }

  row(index) {
    return Object.fromEntries(Object.entries(this.columns).map(([name, column]) => [name, column.at(index)]));
  }

  *[Symbol.iterator]() { for (let index = 0; index < this.rows; index++) yield this.row(index); }
}

/** Read the page's data: base64, deflated JSON. */
async function readData(text) {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const payload = await new Response(stream).json();
  payload.tables = Object.fromEntries(Object.entries(payload.tables).map(([name, table]) => [name, new Table(table)]));
  return payload;
}

const compareTexts = (one, other) => (one < other ? -1 : one > other ? 1 : 0);

/** The questions asked of a page's data. */
class Warehouse {
  constructor(payload) {
    Object.assign(this, payload);
    this.specs = payload.tables.specs;
    const columns = this.specs.columns;
    this.all = Uint32Array.from({ length: this.specs.rows }, (_, row) => row);
    this.packages = columns.package.values;
    this.rowOfHash = new Map();
    this.versionRank = new Map((columns.version.values).map((version, rank) => [version, rank]));
    // What a host runs: its own target and that target's ancestors, with the steps to each.
    this.runs = new Map();
    this.vendors = new Map();
    for (const { target, ancestor, distance, vendor } of this.tables.targets) {
      if (!this.runs.has(target)) this.runs.set(target, new Map());
      this.runs.get(target).set(ancestor, distance);
      this.vendors.set(target, vendor);
    }
  }

  /** Whether a text is a constraint of versions, or names one of the page's. */
  knowsVersion(asked) { return parseVersions(asked) !== null || this.versionRank.has(asked.replace(/^=/, "")); }

  findHash(hash) {
    if (!this.rowOfHash.size) {
      for (const row of this.all) this.rowOfHash.set(this.specs.columns.hash.at(row), row);
    }
    return this.rowOfHash.get(hash);
  }

  /** What is missing for a spec to install without building, the nearest first. */
  listMissing(hash) { return [...this.tables.missing].filter((row) => row.hash === hash).map(({ part }) => part); }

  /** The platform that machines of a target run: Apple's darwin, all others linux. */
  platformOf(target) { return this.vendors.get(target) === "Apple" ? "darwin" : "linux"; }

  /** The tests of rows that filters ask for, by the filter's name; a filter without a value asks for none. */
  makeTests(filters) {
    const columns = this.specs.columns;
    const tests = {};
    if (filters.q) for (const [index, { test }] of this.ask(filters.q).tests.entries()) tests[`q${index}`] = test;
    if (filters.package) tests.package = columns.package.test(matchPackage(filters.package, this.packages));
    if (filters.stack === "root") tests.stack = emptyLists(columns.stacks);
    else if (filters.stack) tests.stack = columns.stacks.test((stack) => stack === filters.stack);
    if (filters.compiler) {
      const exact = columns.compiler.test((compiler) => compiler === filters.compiler);
      const family = columns.compiler_family.test((one) => one === filters.compiler);
      tests.compiler = (row) => exact(row) || family(row);
    }
    for (const name of ["target", "platform", "os"]) {
      if (filters[name]) tests[name] = columns[name].test((value) => value === filters[name]);
    }
    if (filters.version) tests.version = columns.version.test(matchVersion(filters.version));
    if (filters.variant) tests.variant = columns.variants.testLists(matchVariants(filters.variant));
    if (filters.host) tests.host = this.testHost(filters.host, filters.platform);
    if (filters.installs) tests.installs = (row) => columns.installable.at(row) === (filters.installs === "yes");
    return tests;
  }

  /**
   * What a text asks in Spack's syntax: {query, tests}, or {error, tests} where it is no spec, which then nothing fits.
   *
   * A name that no package has is taken for a part of names, and so is a pattern with *: `within`.
   */
  ask(text) {
    if (this.asked?.text === text) return this.asked;
    const asked = { text, tests: [] };
    try {
      const pattern = /^[A-Za-z0-9_.*-]*\*[A-Za-z0-9_.*-]*(?=$|[\s@+~%/])/.exec(text.trim())?.[0] ?? "";
      asked.query = parseSpec(pattern.length > 1 ? `*${text.trim().slice(pattern.length)}` : text, (target) => this.runs.has(target));
      const name = pattern.length > 1 ? pattern : asked.query.package;
      if (name !== undefined && !this.packages.includes(name)) {
        delete asked.query.package;
        asked.within = name;
        const fits = this.specs.columns.package.test(matchPackage(name, this.packages));
        asked.tests.push({ axis: "package", asked: name, test: fits, found: (row) => this.specs.columns.package.at(row) });
      }
      asked.tests.push(...makeSpecTests(asked.query, this));
    } catch (error) {
      if (!(error instanceof SpecError)) throw error;
      asked.error = error.message;
      asked.tests.push({ test: () => false });
    }
    this.asked = asked;
    return asked;
  }

  /** Whether a host of a target can use a row, judged by its microarchitecture. */
  testHost(host, platform) {
    const runs = this.runs.get(host) ?? new Map();
    const wanted = platform || this.platformOf(host);
    const target = this.specs.columns.target.test((one) => runs.has(one));
    const fits = this.specs.columns.platform.test((one) => one === wanted);
    return (row) => target(row) && fits(row);
  }

  /** The systems whose binaries a host of an OS runs, where that is not its own alone: releases of macOS, itself included. */
  listReleases(os) { return new Set([...this.tables.releases].filter((row) => row.os === os).map(({ ancestor }) => ancestor)); }

  /** Whether a host of an OS can use a row, judged by that. */
  testOs(os) {
    const releases = this.listReleases(os);
    return this.specs.columns.os.test((one) => one === os || releases.has(one));
  }

  /** What a host's libc, as it was asked for, is to each row: ok, too old, other libc, none needed, unknown. A path is compared where both are known. */
  judgeLibcs(asked, path) {
    const host = asked ? parseLibc(asked) : null;
    const { libc, libc_path: place, libc_known: known } = this.specs.columns;
    const answers = libc.values.map((one) => judgeLibc(host, one));
    return (row) => {
      // A column in which all is NULL has no codes.
      if (!(libc.codes[row] >= 0)) return known.at(row) ? "none needed" : "unknown";
      return host && path && (place.at(row) ?? path) !== path ? "other libc" : answers[libc.codes[row]];
    };
  }

  select(filters) {
    const tests = Object.values(this.makeTests(filters));
    return this.all.filter((row) => tests.every((test) => test(row)));
  }

  /** How many specs each value of a column has under all filters but the column's own. */
  count(filters, name, column) {
    const tests = this.makeTests(filters);
    delete tests[name];
    const left = Object.values(tests);
    const { codes, lists, dictionary } = this.specs.columns[column];
    const counts = new Map((dictionary ?? []).map((value) => [value, 0]));
    const found = new Int32Array((dictionary ?? []).length);
    for (let row = 0; row < this.specs.rows; row++) {
      if (!left.every((test) => test(row)) || codes[row] < 0) continue;
      if (lists) for (const code of lists[codes[row]]) found[code]++;
      else found[codes[row]]++;
    }
    dictionary?.forEach((value, code) => counts.set(value, found[code]));
    return counts;
  }

  /** Whether a target satisfies Spack's constraint: a list of targets and ranges of them. */
  satisfiesTarget(target, constraint) {
    const runs = (host, binary) => this.runs.get(host)?.has(binary) ?? false;
    return constraint.split(",").some((part) => {
      const [lowest, highest] = part.split(/:(.*)/s);
      return highest === undefined ? target === lowest : (!lowest || runs(target, lowest)) && (!highest || runs(highest, target));
    });
  }

  /** The packages that stacks lost since the snapshot before: those that the most stacks lost and the most packages needed first. */
  get losses() {
    if (this.lossesFound) return this.lossesFound;
    const { presence, dependents } = this.tables;
    const needed = new Map([...(dependents ?? [])].map((row) => [row.package, row.packages]));
    const found = new Map();
    const of = (name) => {
      if (!found.has(name)) found.set(name, { package: name, stacks: [], followers: new Set(), needed: needed.get(name) ?? 0 });
      return found.get(name);
    };
    for (const { change, stack, package: name, head } of presence ?? []) {
      if (change !== "lost") continue;
      of(name).stacks.push(stack);
      if (head !== name) of(head).followers.add(name);
    }
    this.lossesFound = [...found.values()].sort((one, other) => other.stacks.length - one.stacks.length || other.needed - one.needed || compareTexts(one.package, other.package));
    return this.lossesFound;
  }

  /** What became of a cell of the matrix of stacks: "lost", "gained" or "newer", undefined where nothing did; JSON of [package, stack]. */
  get cellChanges() {
    if (this.cellsFound) return this.cellsFound;
    this.cellsFound = new Map();
    for (const { package: name, stack, cause } of this.tables.lost ?? []) if (cause === "version replaced") this.cellsFound.set(JSON.stringify([name, stack]), "newer");
    for (const { change, stack, package: name } of this.tables.presence ?? []) this.cellsFound.set(JSON.stringify([name, stack]), change);
    return this.cellsFound;
  }

  /**
   * Package × axis: a row per package with its cells, at most matrix_columns of all values, and the cells' versions.
   *
   * Rows that changed come first, then those with holes, the fewest holes first, then the full ones. Stacks stand by
   * family (the first word of their name) and platform; compilers and targets by the coverage that is shown.
   */
  matrix(axis) {
    const { package: packages, version, platform } = this.specs.columns;
    const column = this.specs.columns[axis === "stack" ? "stacks" : axis];
    const rows = packages.values.map((name) => ({ package: name, specs: 0, cells: new Map(), changes: new Map(), versions: new Set() }));
    const totals = column.values.map((value, code) => ({ value, code, packages: 0, specs: 0, platforms: new Map() }));
    for (let row = 0; row < this.specs.rows; row++) {
      const one = rows[packages.codes[row]];
      one.specs++;
      const codes = column.lists ? column.lists[column.codes[row]] : [column.codes[row]];
      if (this.specs.columns.stacks.at(row).length) one.versions.add(version.codes[row]);
      for (const code of codes) {
        if (!one.cells.has(code)) one.cells.set(code, { specs: 0, versions: new Set() });
        const cell = one.cells.get(code);
        cell.specs++;
        cell.versions.add(version.codes[row]);
        const on = platform.at(row);
        totals[code].platforms.set(on, (totals[code].platforms.get(on) ?? 0) + 1);
      }
    }
    for (const { cells } of rows) for (const [code, cell] of cells) { totals[code].packages++; totals[code].specs += cell.specs; }
    const compiled = rows.filter(({ cells }) => [...cells.keys()].some((code) => column.values[code] !== "none")).length;
    // A compiler is measured on the packages that have compiled code.
    for (const one of totals) {
      one.share = one.packages / (axis === "compiler" && one.value !== "none" ? compiled : rows.length);
      one.family = one.value.split("-")[0];
      one.platform = [...one.platforms].sort((a, b) => b[1] - a[1] || compareTexts(a[0], b[0]))[0]?.[0] ?? "";
    }
    const widest = (one, other) => other.share - one.share || other.packages - one.packages || other.specs - one.specs || compareTexts(one.value, other.value);
    const columns = totals.filter(({ packages: held }) => held > 0).sort(widest);
    const values = columns.length;
    columns.splice(this.matrix_columns);
    if (axis === "stack") {
      this.addChanges(rows, new Map(column.values.map((value, code) => [value, code])));
      const families = [...new Set(columns.map(({ family }) => family))];
      columns.sort((one, other) => families.indexOf(one.family) - families.indexOf(other.family) || compareTexts(one.platform, other.platform) || widest(one, other));
    }
    const full = (row) => Number(row.cells.size === values);
    const count = (row, change) => [...row.changes.values()].filter((one) => one === change).length;
    for (const row of rows) row.changed = ["lost", "gained", "newer"].map((change) => count(row, change));
    const byChanges = (one, other) => one.changed.reduce((order, number, index) => order || other.changed[index] - number, 0);
    rows.sort((one, other) => byChanges(one, other) || full(one) - full(other) || other.cells.size - one.cells.size || other.specs - one.specs || compareTexts(one.package, other.package));
    return { columns, values, rows };
  }

  /** What became of each cell since the snapshot before, and rows for the packages that no stack has any more. */
  addChanges(rows, codes) {
    const byName = new Map(rows.map((row) => [row.package, row]));
    for (const [key, change] of this.cellChanges) {
      const [name, stack] = JSON.parse(key);
      if (!byName.has(name)) {
        byName.set(name, { package: name, specs: 0, cells: new Map(), changes: new Map(), versions: new Set() });
        rows.push(byName.get(name));
      }
      if (codes.has(stack)) byName.get(name).changes.set(codes.get(stack), change);
    }
  }

  /** How many newer versions other cells of a row have than a cell's newest. */
  lagOf(row, cell) {
    const newest = Math.max(...cell.versions);
    return new Set([...row.versions].filter((code) => code > newest && this.versionKeyOf(code) !== this.versionKeyOf(newest)).map((code) => this.versionKeyOf(code))).size;
  }

  versionKeyOf(code) { return (this.versionKeys ??= this.specs.columns.version.values.map(versionKey))[code]; }

  /** The packages of each stack. */
  packagesByStack() {
    if (this.stacksFound) return this.stacksFound;
    const { package: packages, stacks } = this.specs.columns;
    const found = new Map();
    for (const row of this.all) {
      for (const stack of stacks.at(row)) {
        if (!found.has(stack)) found.set(stack, new Set());
        found.get(stack).add(packages.at(row));
      }
    }
    this.stacksFound = found;
    return found;
  }

  /** The hashes of the specs of some packages. */
  hashesOf(wanted) {
    const { package: packages, hash } = this.specs.columns;
    const fits = packages.test(wanted);
    return new Set(Array.from(this.all.filter(fits), (row) => hash.at(row)));
  }

  versionsOf(codes) { return [...codes].sort((one, other) => one - other).map((code) => this.specs.columns.version.values[code]); }
}

/** The numbers of a version that has nothing else, null for any other. */
const numbersOf = (version) => (/^[0-9]+(\.[0-9]+)*$/.test(version) ? version.split(".").map(BigInt) : null);

/** A libc as usable_on reads it: 2.35 is glibc's, else NAME@VERSION; null: neither. */
function parseLibc(text) {
  const [name, version, ...more] = (text.includes("@") ? text.replaceAll("@=", "@") : `glibc@${text}`).split("@");
  return name && version && !more.length ? { name, version, numbers: numbersOf(version) } : null;
}

/** Which of two versions is newer: below 0, 0, above 0. Where one is the start of the other, that is older. */
function compareNumbers(one, other) {
  for (let at = 0; at < Math.min(one.length, other.length); at++) {
    if (one[at] !== other[at]) return one[at] < other[at] ? -1 : 1;
  }
  return one.length - other.length;
}

/** What a host's libc is to one that a spec needs, as usable_on says it. */
function judgeLibc(host, needed) {
  const spec = parseLibc(needed);
  if (!host) return "unknown";
  if (spec.name !== host.name) return "other libc";
  if (spec.version === host.version) return "ok";
  if (!spec.numbers || !host.numbers) return "unknown";
  return compareNumbers(host.numbers, spec.numbers) >= 0 ? "ok" : "too old";
}

function emptyLists(column) {
  const empty = (column.lists ?? []).map((list) => list.length === 0);
  return (row) => column.codes[row] >= 0 && empty[column.codes[row]];
}

/** A pattern with *: its pieces one after the other, each at the first place that is left, so that no try is taken back. */
function matchGlob(pattern) {
  const [first, ...pieces] = pattern.split("*");
  const last = pieces.pop();
  return (text) => {
    const end = text.length - last.length;
    if (end < first.length || !text.startsWith(first) || !text.endsWith(last)) return false;
    let at = first.length;
    return pieces.every((piece) => {
      const found = text.indexOf(piece, at);
      at = found + piece.length;
      return found >= 0 && at <= end;
    });
  };
}

/** A package's exact name alone, else a pattern with *, else a part of the name. */
function matchPackage(asked, packages) {
  const wanted = asked.trim().toLowerCase();
  if (packages.includes(asked.trim())) return (name) => name === asked.trim();
  if (wanted.includes("*")) {
    const fits = matchGlob(wanted);
    return (name) => fits(name.toLowerCase());
  }
  return (name) => name.toLowerCase().includes(wanted);
}

/** Split a variant as spelt: +mpi, ~mpi, name=a,b, name:=a,b. */
function splitVariant(text) {
  const pair = /^([^=:]*)(:?==?)(.*)$/s.exec(text);
  // +mpi is short for mpi=true.
  if (pair && /^(true|false)$/i.test(pair[3])) return { name: pair[1], values: new Set([pair[3].toLowerCase()]), exact: true, flag: true };
  if (pair) return { name: pair[1], values: new Set(pair[3].split(",")), exact: pair[2].startsWith(":") };
  const flag = /^(\+|~|-)(.*)$/s.exec(text);
  if (flag) return { name: flag[2], values: new Set([flag[1] === "+" ? "true" : "false"]), exact: true, flag: true };
  return { name: text, values: null };
}

/** All the words asked for: +mpi, ~mpi, name=value (among others), name:=values (these alone), or a name. */
function matchVariants(asked) {
  const wanted = asked.trim().split(/\s+/).filter(Boolean).map(splitVariant);
  const holds = (word, variant) => {
    if (word.name !== variant.name) return false;
    if (word.values === null) return true;
    if (Boolean(word.flag) !== Boolean(variant.flag)) return false;
    return [...word.values].every((value) => variant.values.has(value)) && (!word.exact || word.values.size === variant.values.size);
  };
  return (variants) => {
    const held = variants.map(splitVariant);
    return wanted.every((word) => held.some((variant) => holds(word, variant)));
  };
}

/** The line that installs a spec from the cache; a name or hash that is none of Spack's never reaches a shell. */
function installLine(name, hash) {
  if (!/^[a-z2-7]{32}$/.test(hash)) return null;
  return `spack install --cache-only ${/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name) ? name : ""}/${hash}`;
}
