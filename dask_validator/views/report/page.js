"use strict";
(() => {
  const table = document.getElementById("strategies");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const details = JSON.parse(document.getElementById("details").textContent);
  const curves = JSON.parse(document.getElementById("curves").textContent);
  const heads = [...table.tHead.rows[0].cells];
  const minTrades = Number(table.dataset.minTrades), { unit } = table.dataset;
  const texts = (row) => [...row.cells].filter((cell) => !cell.classList.contains("n")).map((cell) => cell.textContent);
  const words = rows.map((row) => texts(row).join(" ").toLowerCase());
  const SVG = "http://www.w3.org/2000/svg";

  // Text goes in as text, never as HTML: it comes from the user's database.
  function element(name, attributes, text) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function shape(parent, name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  const inUnit = (value) => (value === null ? "-" : `${value.toFixed(4)} ${unit}`);

  function windowsFigure(of) {
    const room = table.parentElement.clientWidth - 34;
    const width = Math.max(240, Math.min(860, room)), left = 44, right = 10, top = 24, plot = 130, bottom = 40;
    const values = of.windows.map((w) => w[2] ?? 0);
    const high = Math.max(0, ...values), low = Math.min(0, ...values), span = high - low || 1;
    const y = (value) => top + ((high - value) / span) * plot;
    const slot = (width - left - right) / Math.max(of.windows.length, 1);
    const every = Math.ceil(60 / slot);
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${top + plot + bottom}`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `expectancy of ${of.windows.length} test windows`);
    for (const value of new Set([high, 0, low])) {
      shape(svg, "line", { x1: left, x2: width - right, y1: y(value), y2: y(value), class: value ? "grid" : "axis" });
      shape(svg, "text", { x: left - 6, y: y(value) + 4, class: "end" }, value.toFixed(2));
    }
    of.windows.forEach(([start, n, r], i) => {
      const x = left + slot * (i + 0.1), middle = left + slot * (i + 0.5);
      const end = i + 1 < of.windows.length ? of.windows[i + 1][0] : of.end;
      if (r !== null) {
        const kind = n < minTrades ? "small" : r > 0 ? "passed" : "rejected";
        const bar = shape(svg, "rect", {
          x, width: slot * 0.8, y: Math.min(y(r), y(0)), height: Math.max(Math.abs(y(r) - y(0)), 1), class: kind,
        });
        const total = of.cumulative[i].toFixed(1);
        shape(bar, "title", {}, `${start} to ${end}: ${inUnit(r)} per trade, ${n} trades; ${total} ${unit} until then`);
      }
      if (slot > 16 || i % every === 0) {
        shape(svg, "text", { x: middle, y: y(Math.max(r ?? 0, 0)) - 4, class: "value" }, n);
      }
      if (i % every) return;
      shape(svg, "text", { x: middle, y: top + plot + 18, class: "middle" }, start.slice(0, 7));
      shape(svg, "text", { x: middle, y: top + plot + 33, class: "sum" }, of.cumulative[i].toFixed(1));
    });
    shape(svg, "text", { x: 0, y: top + plot + 33 }, `sum ${unit}`);
    return svg;
  }

  const DAY = 864e5;
  const dayOf = (date) => Date.parse(date) / DAY;
  const dateOf = (day) => new Date(day * DAY).toISOString().slice(0, 10);
  const total = (value) => `${value.toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 })} ${unit}`;

  function equityFigure(of, curve) {
    const room = table.parentElement.clientWidth - 34;
    const width = Math.max(240, Math.min(860, room)), left = 52, right = 10, top = 12, plot = 150, bottom = 24;
    let at = 0;
    const values = curve.values.map((more) => (at += more) * curve.step);
    const high = Math.max(0, ...values), low = Math.min(0, ...values), span = high - low || 1;
    const days = curve.last - curve.first || 1;
    const y = (value) => (top + ((high - value) / span) * plot).toFixed(1);
    const x = (day) => left + (Math.min(Math.max(day - curve.first, 0), days) / days) * (width - left - right);
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${top + plot + bottom}`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `cumulative ${unit} from ${dateOf(curve.first)} to ${dateOf(curve.last)}: `
      + `${total(curve.total)} in the end, deepest fall ${total(curve.fall)}`);
    of.windows.forEach(([start], i) => {
      const end = i + 1 < of.windows.length ? of.windows[i + 1][0] : of.end;
      const from = x(dayOf(start)), to = x(dayOf(end));
      const band = shape(svg, "rect", { x: from, width: to - from, y: top, height: plot, class: i % 2 ? "band odd" : "band" });
      shape(band, "title", {}, `test window ${start} to ${end}`);
    });
    for (const value of new Set([high, 0, low])) {
      shape(svg, "line", { x1: left, x2: width - right, y1: y(value), y2: y(value), class: value ? "grid" : "axis" });
      shape(svg, "text", { x: left - 6, y: Number(y(value)) + 4, class: "end" }, value.toFixed(span < 100 ? 1 : 0));
    }
    const every = Math.ceil((days / 365) * 50 / (width - left - right));
    for (let year = Number(dateOf(curve.first).slice(0, 4)) + 1; dayOf(`${year}-01-01`) <= curve.last; year += every) {
      shape(svg, "text", { x: x(dayOf(`${year}-01-01`)), y: top + plot + 17, class: "middle" }, year);
    }
    const points = values.map((value, i) => `L${x(curve.first + (days * (i + 1)) / values.length).toFixed(1)} ${y(value)}`);
    shape(svg, "path", { d: `M${left} ${y(0)}${points.join("")}`, class: "curve" });
    return svg;
  }

  function equity(box, of) {
    const curve = curves[of.group];
    if (!curve) {
      if (of.lost) box.append(element("p", {}, `No curve: ${of.lost}.`));
      return;
    }
    box.append(element("p", {}, `Cumulative ${unit}, trade by trade, also before the first test window: ${total(curve.total)}, deepest fall ${total(curve.fall)}`));
    box.append(equityFigure(of, curve), element("p", { class: "soft" }, "Test windows are shaded."));
  }

  // What is known of a strategy beside the columns for which there is room.
  function rest(row) {
    const list = element("dl", { class: "rest" });
    heads.forEach((head, i) => {
      if (head.offsetWidth || !row.cells[i].textContent.trim()) return;
      const pair = element("div");
      pair.append(element("dt", {}, head.textContent.trim()), element("dd", {}, row.cells[i].textContent.trim()));
      list.append(pair);
    });
    return list;
  }

  function twinsOf(of) {
    const members = of.group === null ? [] : rows.filter((row) => details[row.dataset.row].group === of.group);
    if (members.length < 2) return [];
    const others = members.filter((row) => details[row.dataset.row] !== of).map((row) => row.querySelector(".open").textContent);
    const named = others.slice(0, 5).join(", ") + (others.length > 5 ? ` and ${others.length - 5} more` : "");
    const line = element("p", { class: "long" }, `Wins and loses the same on the same days as ${named}. `);
    const button = element("button", { type: "button", class: "button" }, `Show these ${members.length} alone`);
    button.addEventListener("click", () => {
      group = of.group;
      filter();
      document.getElementById("clear").focus();
    });
    line.append(button);
    return [line];
  }

  function key(kind, text) {
    const item = element("span");
    item.append(element("i", { class: `key ${kind}` }), text);
    return item;
  }

  function command(text) {
    const line = element("p", { class: "command" });
    const code = element("code", {}, text), button = element("button", { type: "button", class: "button" }, "Copy");
    button.addEventListener("click", async () => {
      getSelection().selectAllChildren(code); // to be copied by hand where the browser does not let us
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl-C";
      }
    });
    line.append(code, button);
    return line;
  }

  function detail(opened) {
    const of = details[opened.dataset.row];
    const row = element("tr", { class: "detail" });
    const cell = element("td", { colspan: heads.filter((head) => head.offsetWidth).length });
    const heading = element("p", {}, `${unit} per trade in each test window`);
    heading.append(key("passed", "positive"), key("rejected", "not positive"), key("small", `fewer than ${minTrades} trades`));
    const legend = `Above each bar its number of trades, below its first month and the ${unit} until its end.`;
    const box = element("div");
    box.append(rest(opened));
    if (of.windows.length) box.append(heading, windowsFigure(of), element("p", { class: "soft" }, legend));
    else box.append(element("p", {}, "No test window."));
    equity(box, of);
    box.append(...twinsOf(of));
    const [winterN, winterR, summerN, summerR] = of.split;
    const seasons = winterN === null && summerN === null ? of.season || "none"
      : `${of.season}: winter ${winterN} trades at ${inUnit(winterR)}, summer ${summerN} trades at ${inUnit(summerR)}`;
    const p = of.p === "" ? "no p-value"
      : `p ${of.p}, adjusted ${of.adjusted} (${of.significant ? "significant" : "not significant"} at 5 %)`;
    box.append(element("p", {}, `Seasons: ${seasons}. False discovery: ${p}.`));
    if (of.note) box.append(element("p", { class: "soft" }, `Note: ${of.note}`));
    box.append(command(of.explain));
    cell.append(box);
    row.append(cell);
    return row;
  }

  function toggle(row) {
    const button = row.querySelector(".open");
    const open = button.getAttribute("aria-expanded") === "true";
    if (open) row.nextElementSibling.remove();
    else row.after(detail(row));
    button.setAttribute("aria-expanded", String(!open));
  }

  function place(shown) {
    const pieces = document.createDocumentFragment();
    for (const row of shown) {
      const opened = row.nextElementSibling;
      pieces.append(row);
      if (opened && opened.classList.contains("detail")) pieces.append(opened);
    }
    body.append(pieces);
  }

  function sortBy(header) {
    const column = header.cellIndex;
    const numeric = header.classList.contains("n");
    const down = header.getAttribute("aria-sort") !== (numeric ? "descending" : "ascending") ? numeric : !numeric;
    const sign = down ? -1 : 1;
    const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const empty = (text) => Number(text === "");
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      return empty(x) - empty(y) || sign * (numeric ? x - y : x < y ? -1 : Number(x > y)) || a.dataset.row - b.dataset.row;
    };
    place([...rows].sort(compare));
    for (const other of heads) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
    sort.value = column;
  }

  const sort = document.getElementById("sort");
  heads.forEach((head, i) => sort.append(element("option", { value: i }, head.textContent.trim())));
  sort.value = heads.findIndex((head) => head.hasAttribute("aria-sort"));
  let seen = 0; // width of the table
  function fit() {
    const width = table.parentElement.clientWidth;
    if (width === seen) return;
    seen = width;
    document.getElementById("sorting").hidden = heads.every((head) => head.offsetWidth);
    for (const row of rows.filter((row) => row.nextElementSibling?.classList.contains("detail"))) {
      const again = detail(row);
      again.hidden = row.hidden;
      row.nextElementSibling.replaceWith(again);
    }
  }

  const chips = [...document.querySelectorAll(".chip")];
  const clear = document.getElementById("clear");
  let group = null; // of twins, where one is shown alone
  const pressed = () => chips.filter((chip) => chip.getAttribute("aria-pressed") === "true");

  // Chips of one kind widen, kinds narrow.
  function chosen() {
    const kinds = new Map();
    for (const chip of pressed()) {
      const kind = Number(chip.dataset.facet);
      kinds.set(kind, [...(kinds.get(kind) ?? []), Number(chip.dataset.chip)]);
    }
    for (const lid of document.querySelectorAll("details.facet")) {
      const names = pressed().filter((chip) => lid.contains(chip)).map((chip) => chip.firstChild.textContent.trim());
      lid.querySelector(".chosen").textContent = names.join(", ");
    }
    return [...kinds];
  }

  const search = document.getElementById("search");
  const known = document.getElementById("known"); // where some filters are unknown
  const count = document.getElementById("count");
  const none = document.getElementById("none");
  const number = (value) => value.toLocaleString("en");
  function filter() {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean), kinds = chosen();
    let shown = 0;
    for (const row of rows) {
      const unwanted = known?.checked && "everyDay" in row.dataset;
      const of = details[row.dataset.row];
      const picked = kinds.every(([kind, some]) => of.facets[kind].some((chip) => some.includes(chip)));
      const alone = group === null || of.group === group;
      const hidden = unwanted || !picked || !alone || !wanted.every((word) => words[row.dataset.row].includes(word));
      const opened = row.nextElementSibling;
      row.hidden = hidden;
      if (opened && opened.classList.contains("detail")) opened.hidden = hidden;
      shown += !hidden;
    }
    count.textContent = `${number(shown)} of ${number(rows.length)} shown`;
    none.hidden = shown > 0;
    none.textContent = `None of the ${number(rows.length)} strategies has “${search.value.trim()}” in its ${inWords(search.placeholder)}`
      + `${known?.checked ? " and a filter that is known" : ""}${kinds.length ? ", as the chips pick" : ""}.`;
    clear.hidden = !kinds.length && group === null;
  }

  const inWords = (list) => list.replace(/, ([^,]*)$/, " or $1");

  const inOrder = () => rows.filter((row) => !row.hidden).sort((a, b) => a.rowIndex - b.rowIndex);

  // A spreadsheet would take a text that begins like a formula for one.
  const quoted = (text) => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const badges = (element) => [...element.querySelectorAll(".status")].map((badge) => badge.textContent);

  function inFile(cell) {
    if (cell.classList.contains("n")) return cell.dataset.value ?? cell.textContent.trim();
    if (cell.classList.contains("id")) return quoted(details[cell.parentElement.dataset.row].id);
    const bare = cell.cloneNode(true);
    bare.querySelector(".status")?.remove();
    return quoted(bare.textContent.trim());
  }

  function exportShown(link) {
    const names = heads.map((cell) => quoted(cell.textContent.trim()));
    const lines = inOrder().map((row) => [...[...row.cells].map(inFile), quoted(badges(row).join("; "))]);
    const text = [[...names, quoted("remarks")], ...lines].map((line) => `${line.join(",")}\r\n`).join("");
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  }

  function step(button, by) {
    const visible = inOrder();
    const next = visible[visible.indexOf(button.closest("tr")) + by];
    if (next) next.querySelector(".open").focus();
  }

  const link = document.getElementById("export");
  link.addEventListener("click", () => exportShown(link)); // before the browser follows it
  search.addEventListener("input", filter);
  known?.addEventListener("change", filter);
  sort.addEventListener("change", () => sortBy(heads[sort.value]));
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      filter();
    });
  }
  clear.addEventListener("click", () => {
    for (const chip of pressed()) chip.setAttribute("aria-pressed", "false");
    group = null;
    search.value = "";
    filter();
    search.focus();
  });
  table.tHead.addEventListener("click", (event) => {
    const header = event.target.closest("th");
    if (header) sortBy(header);
  });
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr.row");
    if (row && (event.target.closest(".open") || !String(getSelection()))) toggle(row);
  });
  body.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by && event.target.classList.contains("open")) {
      event.preventDefault();
      step(event.target, by);
    }
  });
  document.getElementById("tools").hidden = false;
  document.getElementById("facets").hidden = false;
  new ResizeObserver(fit).observe(table.parentElement);
  fit();
  filter();
})();
