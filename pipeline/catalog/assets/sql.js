// A page to ask in SQL: DuckDB-Wasm in a worker, loaded on a click, over one database of the site.
"use strict";

const SHOWN = 1000; // rows of an answer that the table shows
const BARS = 40;
const byId = (id) => document.getElementById(id);
const make = (tag, text, attributes = {}) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};

let site; // what databases.json says
let engine = null; // the open one: {database, connection, worker, path}
let packed = {}; // unpacked databases by path, so that one that was stopped opens again at once
let asked = ""; // the query whose answer is shown

function say(text) { byId("state").textContent = text; }
function fail(text) { byId("error").textContent = text; }
function chosen() { return site.databases[byId("database").selectedIndex]; }

function loadScript(path) {
  return new Promise((done, failed) => {
    const script = make("script", undefined, { src: path });
    script.onload = done;
    script.onerror = () => failed(new Error(`${path} cannot be loaded`));
    document.head.append(script);
  });
}

async function loadLibrary() {
  if (window.duckdb) return;
  await loadScript(`${site.engine}/Arrow.es2015.min.js`);
  // The library is written for bundlers: it asks for Arrow, and hands itself over, in their way.
  window.require = () => window.Arrow;
  window.module = { exports: {} };
  window.exports = window.module.exports;
  await loadScript(`${site.engine}/duckdb-browser.cjs`);
  window.duckdb = window.module.exports;
  delete window.require; delete window.module; delete window.exports;
}

async function fetchDatabase(path) {
  if (!packed[path]) {
    const answer = await fetch(path);
    if (!answer.ok) throw new Error(`${path} cannot be loaded: ${answer.status}`);
    // Some servers say that the file is packed, and then the browser has unpacked it.
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const isPacked = bytes[0] === 0x1f && bytes[1] === 0x8b;
    const unpacked = isPacked
      ? await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer()
      : bytes;
    packed = { [path]: new Uint8Array(unpacked) };
  }
  return packed[path].slice(); // the worker takes what it is given
}

function close() {
  if (engine) engine.worker.terminate();
  engine = null;
  for (const id of ["run", "stop", "csv"]) byId(id).disabled = true;
}

async function open() {
  const { path, snapshots } = chosen();
  close();
  byId("open").disabled = true;
  say("Loading …");
  fail("");
  try {
    const [bytes] = await Promise.all([fetchDatabase(path), loadLibrary()]);
    const place = new URL(`${site.engine}/`, location.href);
    const worker = new Worker(new URL("duckdb-browser-eh.worker.js", place));
    const database = new window.duckdb.AsyncDuckDB(new window.duckdb.VoidLogger(), worker);
    engine = { database, worker, path };
    await database.instantiate(new URL("duckdb-eh.wasm", place).href);
    await database.open({ query: { castBigIntToDouble: false, castDecimalToDouble: true, castTimestampToDate: false } });
    await database.registerFileBuffer("warehouse.duckdb", bytes);
    engine.connection = await database.connect();
    for (const sql of [
      "set autoinstall_known_extensions = false",
      "set autoload_known_extensions = false",
      "attach 'warehouse.duckdb' as warehouse (read_only)",
      "use warehouse",
    ]) await engine.connection.query(sql);
    await showSchema();
    byId("run").disabled = false;
    say(`Open: ${snapshots.join(" and ")}`);
  } catch (error) {
    close();
    say("");
    fail(String(error.message || error));
  }
  byId("open").disabled = false;
}

async function showSchema() {
  const columns = await engine.connection.query(`
    select table_name as relation, column_name as name, data_type as type, coalesce(comment, '') as comment
    from duckdb_columns() where not internal and database_name = 'warehouse' order by relation, column_index`);
  const macros = await engine.connection.query(`
    select function_name as relation, array_to_string(parameters, ', ') as parameters, coalesce(comment, '') as comment
    from duckdb_functions() where not internal and function_type = 'table_macro' order by relation`);
  const relations = new Map();
  for (const row of columns) {
    if (row.relation === "stored_specs") continue; // how specs are stored; views show it
    if (!relations.has(row.relation)) relations.set(row.relation, []);
    relations.get(row.relation).push(row);
  }
  const shown = [...relations].map(([name, held]) => {
    const details = make("details");
    const list = make("ul");
    list.append(...held.map((row) => make("li", `${row.name} ${row.type}`, { title: row.comment })));
    details.append(make("summary", name), list);
    return details;
  });
  shown.push(...[...macros].map((row) => make("p", `${row.relation}(${row.parameters})`, { title: row.comment })));
  byId("schema").replaceChildren(...shown);
}

function remember() {
  const asked = new URLSearchParams({ db: chosen().snapshots.join("/"), q: byId("query").value });
  history.replaceState(null, "", `#${asked}`);
}

async function run(event) {
  event.preventDefault();
  if (!engine || byId("run").disabled) return;
  const sql = byId("query").value.trim().replace(/;\s*$/, "");
  remember();
  fail("");
  byId("run").disabled = true;
  byId("csv").disabled = true;
  byId("stop").disabled = false;
  say("Asking …");
  const began = performance.now();
  const mine = engine;
  try {
    const reader = await mine.connection.send(sql, true);
    const rows = [];
    let fields = [];
    let more = false;
    for await (const batch of reader) {
      fields = batch.schema.fields;
      for (const row of batch) {
        if (rows.length === SHOWN) { more = true; break; }
        rows.push(fields.map((field) => show(row[field.name], field.type)));
      }
      if (more) break;
    }
    if (!fields.length && reader.schema) fields = reader.schema.fields;
    asked = sql;
    showAnswer(fields, rows);
    const seconds = ((performance.now() - began) / 1000).toFixed(2);
    say(`${more ? "the first " : ""}${rows.length.toLocaleString("en")} ${rows.length === 1 ? "row" : "rows"}, ${seconds} s`);
    byId("csv").disabled = false;
  } catch (error) {
    if (engine !== mine) return; // stopped
    say("");
    fail(String(error.message || error));
  }
  byId("run").disabled = false;
  byId("stop").disabled = true;
}

async function stop() {
  // A query may hold the worker for good: only its end ends the query for certain.
  close();
  say("Stopped; opening again …");
  await open();
}

function show(value, type) {
  if (value === null || value === undefined) return null;
  if (window.Arrow.DataType.isDate(type)) return new Date(Number(value)).toISOString().slice(0, 10);
  if (typeof value === "bigint" || typeof value === "number") return value;
  if (typeof value === "object") return JSON.stringify(value, (_, one) => (typeof one === "bigint" ? Number(one) : one));
  return String(value);
}

function isNumber(field) {
  const kind = window.Arrow.DataType;
  return kind.isInt(field.type) || kind.isFloat(field.type) || kind.isDecimal(field.type);
}

function showAnswer(fields, rows) {
  const table = make("table");
  const head = make("tr");
  head.append(...fields.map((field) => make("th", field.name, { scope: "col", ...(isNumber(field) && { class: "number" }) })));
  const body = make("tbody");
  for (const row of rows) {
    const line = make("tr");
    line.append(...row.map((value, at) =>
      value === null ? make("td", "NULL", { class: "null" })
        : make("td", String(value), isNumber(fields[at]) ? { class: "number" } : {})));
    body.append(line);
  }
  const top = make("thead");
  top.append(head);
  table.append(top, body);
  byId("result").replaceChildren(table);
  showChart(fields, rows);
}

// Bars of the first number by the first text, where an answer has both.
function showChart(fields, rows) {
  const named = fields.findIndex((field, at) => !isNumber(field) && new Set(rows.map((row) => row[at])).size === rows.length);
  const counted = fields.findIndex(isNumber);
  const figure = byId("chart");
  figure.hidden = named < 0 || counted < 0 || rows.length < 2 || rows.length > BARS;
  if (figure.hidden) { figure.replaceChildren(); return; }
  const most = Math.max(...rows.map((row) => Number(row[counted]))) || 1;
  const space = "http://www.w3.org/2000/svg";
  const draw = (tag, attributes, text) => {
    const element = document.createElementNS(space, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const svg = draw("svg", { viewBox: `0 0 800 ${rows.length * 18}`, role: "img" });
  svg.append(draw("title", {}, `${fields[counted].name} by ${fields[named].name}`));
  rows.forEach((row, at) => {
    const value = Number(row[counted]);
    svg.append(
      draw("text", { x: 240, y: at * 18 + 13, "text-anchor": "end" }, String(row[named]).slice(0, 36)),
      draw("rect", { x: 250, y: at * 18 + 2, width: Math.max((value / most) * 440, 0), height: 14 }),
      draw("text", { x: 256 + Math.max((value / most) * 440, 0), y: at * 18 + 13 }, String(row[counted])),
    );
  });
  figure.replaceChildren(svg, make("figcaption", `${fields[counted].name} by ${fields[named].name}`));
}

async function download() {
  try {
    await engine.connection.query(`copy (${asked}\n) to 'answer.csv' (header)`);
    const bytes = await engine.database.copyFileToBuffer("answer.csv");
    await engine.database.dropFile("answer.csv");
    const link = make("a", undefined, { download: "answer.csv", href: URL.createObjectURL(new Blob([bytes], { type: "text/csv" })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  } catch (error) {
    fail(String(error.message || error));
  }
}

function listQuestions() {
  const listed = chosen().questions.map((one) => make("option", one.title, { value: one.sql }));
  byId("examples").replaceChildren(make("option", "Choose one", { value: "" }), ...listed);
}

async function start() {
  site = await (await fetch("databases.json")).json();
  byId("database").append(...site.databases.map((one) => make("option", one.snapshots.join(" and "))));
  const asked = new URLSearchParams(location.hash.slice(1));
  const wanted = site.databases.findIndex((one) => one.snapshots.join("/") === asked.get("db"));
  const newest = site.databases.filter((one) => one.snapshots.length === 1).length - 1;
  byId("database").selectedIndex = wanted >= 0 ? wanted : newest;
  listQuestions();
  byId("query").value = asked.get("q") || chosen().questions[0].sql;
  byId("database").addEventListener("change", () => {
    close();
    say("");
    listQuestions();
  });
  byId("examples").addEventListener("change", () => {
    if (byId("examples").value) byId("query").value = byId("examples").value;
  });
  byId("open").addEventListener("click", open);
  byId("form").addEventListener("submit", run);
  byId("stop").addEventListener("click", stop);
  byId("csv").addEventListener("click", download);
  byId("query").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run(event);
  });
}

start().catch((error) => fail(String(error.message || error)));
