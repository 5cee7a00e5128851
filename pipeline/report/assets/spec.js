"use strict";
// Spack's spec syntax for one node: that of pipeline/spack/spec.py, which explains it. What misses a constraint is reported as `have` reports it.

const SPEC_TOKEN = (() => {
  const id = "[A-Za-z0-9_][A-Za-z0-9_-]*";
  const name = "[A-Za-z0-9_][A-Za-z0-9_.-]*";
  const version = `=?${name}\\b`;
  const range = `(?:(?:${version})?:(?:${version}(?![A-Za-z0-9_.-]|\\s*:?=))?|${version})`;
  const git = "(?:git\\.[A-Za-z0-9_][A-Za-z0-9_./-]*|[0-9A-Fa-f]{40}(?![A-Za-z0-9_.-]))";
  const quoted = "'(?:[^']|(?<=\\\\)')*'|\"(?:[^\"]|(?<=\\\\)\")*\"";
  const bare = "[A-Za-z0-9_+*.,:=%^~/\\\\-]+";
  return new RegExp([
    `(?<edge>(?:\\^|%%?)(?:\\[(?<attributes>[^\\]]*)\\])?(?:\\s*(?<virtuals>${id}(?:,${id})*)=(?=\\w))?)`,
    `(?<version>@${git}(?:=${range})?|@\\s*${range}(?:\\s*,\\s*${range})*)`,
    `(?<boolean>(?:\\+\\+|~~|--|[+~-])\\s*${name})`,
    `(?<pair>(?<key>${name})(?<operator>:?==?)(?<value>${quoted}|${bare}))`,
    `(?<name>${id}(?:\\.${id})*|\\*)`,
    "(?<hash>/[A-Za-z0-9_]+)",
    "(?<space>\\s+)",
  ].join("|"), "y");
})();
const SPEC_KINDS = ["edge", "version", "boolean", "pair", "name", "hash", "space"];
const SPEC_PLACES = {
  arch: ["platform", "os", "target"], architecture: ["platform", "os", "target"], namespace: ["namespace"],
  operating_system: ["os"], os: ["os"], platform: ["platform"], target: ["target"],
};
const COMPILER_FLAGS = new Set(["cflags", "cppflags", "cxxflags", "fflags", "ldflags", "ldlibs"]);

class SpecError extends Error {
  constructor(at, reason) { super(reason); this.at = at; }
}

function cutSpec(text) {
  const tokens = [];
  let at = 0;
  while (at < text.length) {
    SPEC_TOKEN.lastIndex = at;
    const found = SPEC_TOKEN.exec(text);
    if (!found) throw new SpecError(at, `“${text[at]}” at letter ${at + 1} is not part of a spec`);
    const kind = SPEC_KINDS.find((one) => found.groups[one] !== undefined);
    if (kind !== "space") tokens.push({ kind, text: found[0], at, ...found.groups });
    at += found[0].length;
  }
  return tokens;
}

const unquote = (value) => {
  const found = /^(['"])(.*)\1$/s.exec(value);
  return found ? found[2].replaceAll(`\\${found[1]}`, found[1]) : value;
};

/** What a spec asks for: {package, namespace, versions, variants, compilers, platform, os, target, hash}; throws SpecError. `knows(target)`: of archspec's. */
function parseSpec(text, knows) {
  const nodes = [[]];
  for (const token of cutSpec(text)) {
    if (token.kind === "edge") nodes.push([]);
    nodes.at(-1).push(token);
  }
  const [own, ...compilers] = nodes;
  if (!own.length && !compilers.length) throw new SpecError(0, "a spec is expected, such as hdf5@1.14: +mpi %gcc");
  const query = { variants: [], compilers: compilers.map(readCompiler) };
  const add = (token, name, value) => {
    if (query[name] !== undefined) throw new SpecError(token.at, `a second ${name}`);
    query[name] = value;
  };
  own.forEach((token, index) => {
    if (token.kind === "name") {
      if (index) throw new SpecError(token.at, `“${token.text}” begins a second spec: one is expected, and its name comes first`);
      const parts = token.text.split(".");
      const name = parts.pop();
      if (parts.length) add(token, "namespace", parts.join("."));
      if (name !== "*") add(token, "package", name);
    } else if (token.kind === "version") {
      add(token, "versions", readVersions(token));
    } else if (token.kind === "hash") {
      add(token, "hash", token.text.slice(1));
    } else if (token.kind === "pair" && Object.hasOwn(SPEC_PLACES, token.key)) {
      for (const [name, value] of readPlace(token, knows)) add(token, name, value);
    } else {
      if (COMPILER_FLAGS.has(token.key)) throw new SpecError(token.at, `caches do not record compiler flags: ${token.key} cannot be answered`);
      const variant = readVariant(token.text);
      if (query.variants.some(({ name }) => name === variant.name)) throw new SpecError(token.at, `“${variant.name}” a second time: several values are spelt ${variant.name}=a,b`);
      query.variants.push(variant);
    }
  });
  return query;
}

function readVersions(token) {
  if (parseVersions(token.text) === null) throw new SpecError(token.at, `${token.text} is no version`);
  return token.text.replace(/\s/g, "");
}

function readPlace(token, knows) {
  if (token.operator.endsWith("==")) throw new SpecError(token.at, `${token.key} cannot be propagated: one “=” is expected`);
  const value = unquote(token.value);
  let names = SPEC_PLACES[token.key];
  let values = [value];
  if (names.length > 1) {
    values = value.split("-");
    if (values.length !== 3) { names = ["target"]; values = [value]; }
  }
  const found = names.map((name, index) => [name, values[index]]).filter(([, part]) => part !== "" && part !== "None");
  for (const [name, part] of found) {
    const wrong = (name === "target" ? /[^A-Za-z0-9_.:,-]/ : /[^A-Za-z0-9_.+-]/).exec(part);
    if (wrong) throw new SpecError(token.at, `“${wrong[0]}” cannot be part of the ${name}; what comes after a value needs a space before it`);
  }
  for (const part of found.filter(([name]) => name === "target").flatMap(([, targets]) => targets.split(","))) {
    const ends = part.split(":");
    if (!part || ends.length > 2) throw new SpecError(token.at, `“${value}” is not a list of targets and ranges of them`);
    const strange = ends.length > 1 && ends.find((end) => end && !knows(end));
    if (strange) throw new SpecError(token.at, `“${strange}” ends a range and is no target that archspec knows`);
  }
  return found;
}

function readCompiler([edge, name, ...more]) {
  if (edge.text.startsWith("^")) throw new SpecError(edge.at, "this page holds no dependencies: what stands after “^” cannot be answered");
  if (edge.virtuals || edge.attributes) throw new SpecError(edge.at, "this page does not know which language a compiler was for: write % and its name");
  if (!name || name.kind !== "name" || name.text === "*") throw new SpecError(edge.at, "the name of a compiler is expected after “%”");
  let versions;
  for (const token of more) {
    if (token.kind !== "version") throw new SpecError(token.at, `“${token.text}” is asked of ${name.text} here, and caches record only its version; to ask it of the package, put it before “%${name.text}”`);
    if (versions) throw new SpecError(token.at, "a second version: several are spelt @1.2,1.4:1.6");
    versions = readVersions(token);
  }
  return { text: [edge, name, ...more].map(({ text }) => text).join(""), name: name.text.split(".").pop(), versions };
}

/** A variant by name: its values, whether they are all that it may have, whether it may be meant for the dependencies. */
function readVariant(text) {
  const flag = /^(\+\+|~~|--|[+~-])\s*(.*)$/s.exec(text);
  if (flag) return { text, name: flag[2], values: new Set([flag[1][0] === "+" ? "True" : "False"]), exact: true, propagated: flag[1].length === 2 };
  const pair = /^([A-Za-z0-9_][A-Za-z0-9_.-]*)(:?==?)(.*)$/s.exec(text);
  if (!pair) return null;
  const value = unquote(pair[3]);
  const propagated = pair[2].endsWith("==");
  if (/^(true|false)$/i.test(value)) return { text, name: pair[1], values: new Set([value[0].toUpperCase() + value.slice(1).toLowerCase()]), exact: true, propagated };
  if (value === "*") return { text, name: pair[1], values: new Set(), exact: false, propagated };
  return { text, name: pair[1], values: new Set(value.split(",").map((one) => one.trim())), exact: pair[2].startsWith(":"), propagated };
}

/** Whether a concrete spec's variant, undefined where it has none of the name, is as asked. */
function meetsVariant(asked, found) {
  if (!found) return asked.propagated;
  const within = (some, all) => [...some].every((one) => all.has(one)
    || (asked.name === "patches" && [...all].some((other) => other.startsWith(one) || one.startsWith(other))));
  return within(asked.values, found.values) && (!asked.exact || within(found.values, asked.values));
}

/**
 * Tests of rows for each thing that a query asks: {axis, asked, test(row), found(row)}, in the order in which misses are listed.
 * A column is asked once for each of its values.
 */
function makeSpecTests(query, data) {
  const { columns } = data.specs;
  const tests = [];
  const add = (axis, asked, test, found) => tests.push({ axis, asked, test, found });
  const equal = (name) => { if (query[name] !== undefined) add(name, query[name], columns[name].test((one) => one === query[name]), (row) => columns[name].at(row)); };
  equal("package");
  // A namespace that is not known is not compared.
  if (query.namespace !== undefined) add("namespace", query.namespace, (row) => [null, query.namespace].includes(columns.namespace.at(row)), (row) => columns.namespace.at(row));
  if (query.versions !== undefined) add("version", query.versions, columns.version.test(matchVersion(query.versions.slice(1))), (row) => columns.version.at(row));
  for (const { text, name, versions } of query.compilers) {
    const family = (one) => (Object.hasOwn(data.renamed, one) ? data.renamed[one] : one);
    const fits = (compiler) => {
      const [one, version = ""] = compiler.split(/@(.*)/s);
      return family(one) === family(name) && (!versions || (version !== "" && matchVersion(versions.slice(1))(version)));
    };
    add("compiler", text, columns.compilers.test(fits), (row) => columns.compilers.at(row).join(", "));
  }
  for (const variant of query.variants) {
    const of = (texts) => texts.map(readVariant).findLast((one) => one?.name === variant.name);
    add("variants", variant.text, columns.variants.testLists((texts) => meetsVariant(variant, of(texts))), (row) => of(columns.variants.at(row))?.text ?? null);
  }
  equal("os");
  equal("platform");
  if (query.target !== undefined) add("target", query.target, columns.target.test((one) => data.satisfiesTarget(one, query.target)), (row) => columns.target.at(row));
  if (query.hash !== undefined) add("hash", query.hash, (row) => columns.hash.at(row).startsWith(query.hash), (row) => columns.hash.at(row));
  return tests;
}

/** The nearest misses among rows: {misses: [{axis, asked, found}], specs, example}, those with the fewest misses first. */
function findNearest(tests, rows, most = 5) {
  const near = new Map();
  for (const row of rows) {
    const misses = tests.filter(({ test }) => !test(row)).map(({ axis, asked, found }) => ({ axis, asked, found: found(row) }));
    const key = JSON.stringify(misses);
    if (near.has(key)) near.get(key).specs++;
    else near.set(key, { misses, specs: 1, example: row });
  }
  return [...near.values()].sort((one, other) => one.misses.length - other.misses.length || other.specs - one.specs).slice(0, most);
}

/** Names that are near a misspelt one: those that a few letters' difference parts, the nearest first. */
function suggestNames(asked, names, most = 5) {
  const distance = (one, other) => {
    let before = Array.from({ length: other.length + 1 }, (_, index) => index);
    for (let at = 1; at <= one.length; at++) {
      const row = [at];
      for (let to = 1; to <= other.length; to++) row.push(Math.min(before[to] + 1, row[to - 1] + 1, before[to - 1] + (one[at - 1] === other[to - 1] ? 0 : 1)));
      before = row;
    }
    return before[other.length];
  };
  const limit = Math.max(1, Math.floor(asked.length / 3));
  return names.filter((name) => Math.abs(name.length - asked.length) <= limit).map((name) => [distance(asked.toLowerCase(), name.toLowerCase()), name])
    .filter(([steps]) => steps <= limit).sort((one, other) => one[0] - other[0] || compareTexts(one[1], other[1])).slice(0, most).map(([, name]) => name);
}
