"use strict";
// Spack's order of versions as text keys, and its constraints as ranges of keys: those of pipeline/spack/versions.py, which explains them.

// Words greater than any number, the least first.
const INFINITIES = ["stable", "nightly", "trunk", "head", "master", "main", "develop"];
const PRERELEASES = new Map([["alpha", "*"], ["beta", "+"], ["rc", ","], ["final", "-"]]);

const isNumber = (component) => /^[0-9]+$/.test(component);
const findComponents = (version) => version.match(/[0-9]+|[A-Za-z]+/g) ?? [];
// A version's number may be longer than a number of JavaScript's holds.
const countOn = (digits) => String(BigInt(digits) + 1n);

/** A text whose order is Spack's order of versions. */
function versionKey(version) {
  const [ref, assigned] = splitRef(version);
  return assigned === null ? `~${ref}` : spellVersion(assigned);
}

/** The git ref of a version, null where it has none, and the version that it compares as. */
function splitRef(version) {
  if (!(version.startsWith("git.") || version.slice(1).includes("=") || /^[0-9A-Fa-f]{40}$/.test(version))) return [null, version];
  const [ref, assigned = ""] = version.replace(/^git\./, "").split(/=(.*)/s);
  return [ref, assigned && !assigned.includes(":") ? assigned : null];
}

function spellVersion(version) {
  const [release, ending] = splitPrerelease(version);
  return release.map(spellComponent).join("") + ending;
}

/** The components of the release, and the spelling of the prerelease. */
function splitPrerelease(version) {
  const components = findComponents(version);
  const [stage, last] = components.slice(-2);
  if (components.length > 2 && PRERELEASES.has(stage) && isNumber(last)) return [components.slice(0, -2), PRERELEASES.get(stage) + spellComponent(last)];
  if (components.length > 1 && PRERELEASES.has(last)) return [components.slice(0, -1), PRERELEASES.get(last)];
  return [components, PRERELEASES.get("final")];
}

function spellComponent(component) {
  if (!isNumber(component)) return INFINITIES.includes(component) ? `:${INFINITIES.indexOf(component)}` : `.${component}`;
  const digits = component.replace(/^0+/, "");
  const { length } = digits;
  return length < 9 ? `${length}${digits}` : `9${String(length).length}${length}${digits}`;
}

/** A constraint, with or without its @, as ranges {low, high, ref} of keys, of which a version is in any; null if it is none. */
function parseVersions(constraint) {
  const ranges = constraint.replace(/\s/g, "").replace(/^@/, "").split(",").map(parseRange);
  return ranges.includes(null) ? null : ranges;
}

function parseRange(text) {
  const exact = text.startsWith("=");
  const asked = exact ? text.slice(1) : text;
  const [ref, assigned] = splitRef(asked);
  if (ref === null) return exact ? findExact(asked) : findBounds(asked);
  if (!ref) return null;
  const within = asked.split(/=(.*)/s)[1] ?? "";
  const bounds = assigned === null ? findBounds(within || ":") : findExact(within);
  return bounds && { ...bounds, ref };
}

const isVersion = (text) => /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(text);

function findExact(version) {
  if (!isVersion(version)) return null;
  const key = spellVersion(version);
  return { low: key, high: `${key}!`, ref: "" };
}

function findBounds(text) {
  const [first, end] = text.split(/:(.*)/s);
  const last = end ?? first;
  if (end === "" && !first) return { low: "", high: "\x7f", ref: null };
  if (![first, last].every((one) => isVersion(one) || (one === "" && end !== undefined))) return null;
  const low = first ? spellVersion(first) : "";
  const high = last ? findNextKey(last) : `:${INFINITIES.length}`;
  return high <= low ? null : { low, high, ref: null };
}

/** The key of Spack's `_next_version`: the first that a range up to `version` leaves out. */
function findNextKey(version) {
  const [release, ending] = splitPrerelease(version);
  if (!ending.startsWith(PRERELEASES.get("final"))) {
    const number = findComponents(version).at(-1);
    return release.map(spellComponent).join("") + ending[0] + spellComponent(isNumber(number) ? countOn(number) : "0");
  }
  return release.slice(0, -1).map(spellComponent).join("") + spellNext(release.at(-1) ?? "") + ending;
}

function spellNext(component) {
  if (isNumber(component)) return spellComponent(countOn(component));
  if (INFINITIES.includes(component)) return `:${INFINITIES.indexOf(component) + 1}`;
  const word = findNextWord(component);
  return spellComponent(INFINITIES.includes(word) ? findNextWord(word) : word);
}

/** Spack's `_next_str`: its last letter counted on, and not the next word of a dictionary. */
function findNextWord(word) {
  if (word === "" || word.endsWith("z")) return `${word}A`;
  return word.slice(0, -1) + (word.endsWith("Z") ? "a" : String.fromCharCode(word.charCodeAt(word.length - 1) + 1));
}

/** A test of versions by a constraint. One that a page's link names exactly counts, whatever its signs; what is no constraint fits none. */
function matchVersion(asked) {
  const ranges = parseVersions(asked) ?? [];
  return (version) => asked === `=${version}`
    || ranges.some(({ low, high, ref }) => (ref === null || ref === (splitRef(version)[0] ?? "")) && low <= versionKey(version) && versionKey(version) < high);
}
