"use strict";
// What the views share.

const ALL = ["", "all"];
const sorted = (values) => [...values].sort(compareTexts);
const asOptions = (values) => [ALL, ...values.map((value) => [value, value])];

/** A value that an address may hold, or the first choice instead of any other. */
const choose = (value, ...choices) => (choices.includes(value) ? value : choices[0]);

const cut = (list, most = 24) => (list.length > most ? `${list.slice(0, most).join(", ")} and ${list.length - most} more` : list.join(", "));

/** A change with its sign, in the colour of better or worse; 0 and what is not known are quiet. */
const signed = (value) => (value === null || value === undefined ? "–" : value > 0 ? `+${show(value)}` : value < 0 ? `−${show(-value)}` : "0");
const changeOf = (value) => make("span", { class: value > 0 ? "gained" : value < 0 ? "lost" : "quiet" }, signed(value));

/** A list of which the first are shown and the rest is folded. */
function foldList(items, most, tag = "ul", properties = {}) {
  return [
    make(tag, properties, items.slice(0, most)),
    ...(items.length > most ? [make("details", {}, make("summary", {}, `${show(items.length - most)} more`), make(tag, properties, items.slice(most)))] : []),
  ];
}

/** A bar of parts {size, kind}, each named by its class, of which `whole` fills the width. */
function makeBar(parts, whole) {
  let at = 0;
  const bar = makeSvg("svg", { class: "share", viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" });
  for (const { size, kind } of parts) {
    const width = whole ? (100 * size) / whole : 0;
    if (width) bar.append(makeSvg("rect", { x: at, y: 0, width, height: 8, class: `is-${kind}` }));
    at += width;
  }
  return bar;
}

/** A line of values on its own scale, broken where one is not known; a ring where the last is not. */
function makeSpark(values) {
  const known = values.filter((value) => value !== null && value !== undefined);
  const svg = makeSvg("svg", { class: "spark", viewBox: "0 0 100 22", "aria-hidden": "true" });
  if (!known.length) return svg;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const place = (value, index) => [4 + (values.length > 1 ? (92 * index) / (values.length - 1) : 92), high > low ? 19 - (16 * (value - low)) / (high - low) : 11];
  let path = "";
  let last;
  values.forEach((value, index) => {
    if (value === null || value === undefined) { last = undefined; return; }
    const [x, y] = place(value, index);
    path += `${last ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    last = [x, y];
  });
  svg.append(makeSvg("path", { d: path }));
  const end = values.findLastIndex((value) => value !== null && value !== undefined);
  const [cx, cy] = place(values[end], end);
  svg.append(makeSvg("circle", { cx, cy, r: 2.5, class: end === values.length - 1 ? "dot" : "ring" }));
  return svg;
}
