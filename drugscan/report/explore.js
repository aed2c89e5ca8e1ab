"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const language = document.documentElement.lang;
const number = new Intl.NumberFormat(language);
const monthName = new Intl.DateTimeFormat(language, { month: "long", year: "numeric", timeZone: "UTC" });
const fill = (words, values) => words.replace(/\{(\w+)\}/g, (all, name) => (name in values ? values[name] : all));
const each = (selector, act, within = document) => within.querySelectorAll(selector).forEach(act);

each(".tools", (tools) => { tools.hidden = false; });

/* Tables: sort by any column, and show only the rows with some words. */
each("th button", (button) => {
  button.addEventListener("click", () => {
    const head = button.parentNode;
    const body = head.closest("table").tBodies[0];
    const isNumber = head.classList.contains("n");
    const down = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") !== "descending" : isNumber;
    const key = (row) => {
      const cell = row.cells[head.cellIndex];
      if (cell.dataset.sort !== undefined) return Number(cell.dataset.sort);
      return isNumber ? Number(cell.textContent.replace(/\D/g, "") || -1) : cell.textContent.trim();
    };
    const rows = Array.from(body.rows, (row) => [key(row), row]);
    rows.sort(([a], [b]) => (typeof a === "number" ? a - b : a.localeCompare(b, language)) * (down ? -1 : 1));
    each("th", (other) => other.removeAttribute("aria-sort"), head.parentNode);
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...rows.map(([, row]) => row));
  });
});

each(".tools input[type=search]", (box) => {
  const table = box.closest(".table");
  const rows = Array.from(table.querySelector("tbody").rows);
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const texts = rows.map((row) => plain(row.textContent));
  box.addEventListener("input", () => {
    const wanted = plain(box.value).split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, at) => {
      row.hidden = !wanted.every((word) => texts[at].includes(word));
      shown += row.hidden ? 0 : 1;
    });
    const counts = { shown: number.format(shown), all: number.format(rows.length) };
    table.querySelector(".found").textContent = wanted.length ? fill(data.words.rows, counts) : "";
  });
});

/* What is under the pointer or has the focus is told in the line above a picture. */
const readout = (figure) => {
  const line = figure.querySelector(".readout");
  line.textContent = line.dataset.hint;
  return (text) => { line.textContent = text || line.dataset.hint; };
};

const map = document.getElementById("map");
if (map) {
  const tell = readout(map);
  each(".area, .dot", (mark) => {
    const words = mark.querySelector("title").textContent;
    /* only provinces take the focus: sixty dots more would be in the way of the Tab key */
    const names = mark.classList.contains("area") ? [["pointerenter", "focus"], ["pointerleave", "blur"]] : [["pointerenter"], ["pointerleave"]];
    names[0].forEach((name) => mark.addEventListener(name, () => tell(words)));
    names[1].forEach((name) => mark.addEventListener(name, () => tell("")));
  }, map);
  document.getElementById("measure").addEventListener("change", (event) => {
    const measure = data.map[event.target.value];
    each(".area", (area) => area.setAttribute("class", "area s" + (measure.shades[area.dataset.province] || 0)), map);
    each(".range", (range, at) => { range.textContent = measure.legend[at]; }, map);
  });
}

const figure = document.getElementById("timeline");
if (figure) {
  const tell = readout(figure);
  const months = data.timeline.months.map((month) => monthName.format(new Date(month)));
  const slider = document.getElementById("month");
  const menu = document.getElementById("series");
  let series = data.timeline.series[0];

  const words = (at) => {
    const [ads, texts, sellers] = [series.messages, series.texts, series.sellers].map((some) => number.format(some[at]));
    const told = fill(series.texts[at] === null ? data.words.ads_only : data.words.point, { ads, texts, sellers });
    return months[at] + ": " + told + (data.timeline.complete[at] ? "" : " " + data.words.partly);
  };
  const point = (at) => {
    each("rect.bar", (bar) => bar.classList.remove("now"), figure);
    each("svg.timeline", (svg) => svg.querySelectorAll("rect.bar")[at].classList.add("now"), figure);
    slider.value = at;
    slider.setAttribute("aria-valuetext", words(at));
    tell(words(at));
  };
  const draw = () => {
    each("svg.timeline", (svg) => {
      const [top, bottom] = [Number(svg.dataset.top), Number(svg.dataset.bottom)];
      each("rect.bar", (bar, at) => {
        const height = (bottom - top) * series.messages[at] / series.top;
        bar.setAttribute("y", bottom - height);
        bar.setAttribute("height", height);
      }, svg);
      each(".tick", (tick, quarter) => { tick.textContent = number.format(series.top * quarter / 4); }, svg);
      svg.querySelector(".kinds").classList.toggle("off", series !== data.timeline.series[0]);
    }, figure);
    each(".lines", (legend) => legend.classList.toggle("off", series !== data.timeline.series[0]), figure);
  };

  slider.addEventListener("input", () => point(Number(slider.value)));
  slider.addEventListener("focus", () => point(Number(slider.value)));
  menu.addEventListener("change", () => {
    series = data.timeline.series[Number(menu.value)];
    draw();
    point(Number(slider.value));
  });
  each("svg.timeline", (svg) => {
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width - Number(svg.dataset.left);
      const at = Math.floor(x / Number(svg.dataset.step));
      if (at >= 0 && at < months.length) point(at);
    });
  }, figure);
}
