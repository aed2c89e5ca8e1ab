const sheet = JSON.parse(document.getElementById("data").textContent);
const part = (id) => document.getElementById(id);
const boxes = Array.from(document.querySelectorAll("#labels input"));
const known = new Set(sheet.texts.map(([id]) => id));
const place = "drugscan-audit:" + sheet.key;
let labels = {};
let at = 0;
let saved = true;

function remember() {
  try {
    localStorage.setItem(place, JSON.stringify({ labels, labeller: part("labeller").value }));
  } catch {
    part("status").textContent = "This browser keeps nothing: save to a file before you close the page.";
  }
}

function recall() {
  try {
    take(JSON.parse(localStorage.getItem(place)) || {});
  } catch {
    labels = {};
  }
}

function take(kept) {
  for (const [id, outputs] of Object.entries(kept.labels || {})) {
    if (known.has(id) && Array.isArray(outputs)) labels[id] = outputs.filter((output) => sheet.outputs.includes(output));
  }
  if (kept.labeller) part("labeller").value = kept.labeller;
}

function show() {
  const [id, text] = sheet.texts[at];
  const outputs = labels[id];
  part("which").textContent = `Text ${at + 1} of ${sheet.texts.length}`;
  if (part("text").textContent !== text) part("text").textContent = text;
  part("yes").setAttribute("aria-pressed", String(Boolean(outputs && outputs.length)));
  part("no").setAttribute("aria-pressed", String(Boolean(outputs && !outputs.length)));
  part("labels").disabled = !(outputs && outputs.length);
  for (const box of boxes) box.checked = Boolean(outputs && outputs.includes(box.value));
  const done = Object.keys(labels).length;
  part("bar").value = done;
  part("progress").textContent = `${done} of ${sheet.texts.length} labelled`;
}

function label(outputs) {
  labels[sheet.texts[at][0]] = outputs;
  saved = false;
  remember();
  show();
}

function verdict(isAd) {
  const before = labels[sheet.texts[at][0]];
  if (isAd) label(before && before.length ? before : [sheet.outputs[0]]);
  else label([]);
}

function tick(name) {
  const outputs = labels[sheet.texts[at][0]];
  if (!outputs || !outputs.length) return;
  label(outputs.includes(name) ? outputs.filter((output) => output !== name) : [...outputs, name]);
}

function go(to) {
  at = Math.min(Math.max(to, 0), sheet.texts.length - 1);
  part("text").scrollTop = 0;
  show();
}

function goOpen() {
  const all = sheet.texts.map((_, index) => (at + 1 + index) % sheet.texts.length);
  const found = all.find((index) => !(sheet.texts[index][0] in labels));
  if (found === undefined) part("status").textContent = "All texts are labelled: save them to a file.";
  else go(found);
}

function save() {
  const labeller = part("labeller").value.trim();
  if (!labeller) {
    part("status").textContent = "Write your name first: two people's labels must not be mixed up.";
    part("labeller").focus();
    return;
  }
  const rows = Object.entries(labels).map(([text_id, outputs]) => ({ text_id, outputs }));
  const content = { drugscan_audit: 1, audit: sheet.name, labeller, labels: rows };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
  link.download = `labels-${sheet.name}-${labeller}.json`.replace(/[^A-Za-z0-9._-]+/g, "_");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  saved = true;
  part("status").textContent = `${rows.length} labels saved as ${link.download}.`;
}

async function load(file) {
  try {
    const content = JSON.parse(await file.text());
    take({ labels: Object.fromEntries(content.labels.map((row) => [row.text_id, row.outputs])), labeller: content.labeller });
    remember();
    goOpen();
  } catch {
    part("status").textContent = "This file was not saved by this page.";
  }
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input[type=text], input[type=file]")) return;
  if (event.key === "Enter" && event.target.matches("button, summary")) return;
  const box = boxes[Number(event.key) - 1];
  if (event.key === "y") verdict(true);
  else if (event.key === "n") {
    verdict(false);
    go(at + 1);
  } else if (box) tick(box.value);
  else if (event.key === "ArrowRight" || event.key === "Enter") go(at + 1);
  else if (event.key === "ArrowLeft") go(at - 1);
  else return;
  event.preventDefault();
}

document.addEventListener("keydown", key);
part("yes").addEventListener("click", () => verdict(true));
part("no").addEventListener("click", () => verdict(false));
part("previous").addEventListener("click", () => go(at - 1));
part("next").addEventListener("click", () => go(at + 1));
part("open").addEventListener("click", goOpen);
part("save").addEventListener("click", save);
part("labeller").addEventListener("change", remember);
part("load").addEventListener("change", (event) => event.target.files[0] && load(event.target.files[0]));
for (const box of boxes) box.addEventListener("change", () => tick(box.value));
addEventListener("beforeunload", (event) => saved || event.preventDefault());
recall();
if (sheet.texts[0][0] in labels) goOpen();
show();
