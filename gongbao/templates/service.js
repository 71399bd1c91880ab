
// The service's page. What comes from the service as HTML is escaped there, and no script in it would run.
const $ = id => document.getElementById(id);
let file = null, running = null, asked = null;

function say(code, detail = "") {
  const known = $("messages").content;
  const message = (known.querySelector(`[data-code="${code}"]`) || known.querySelector("[data-code=other]")).cloneNode(true);
  const more = detail ? [Object.assign(document.createElement("p"), { className: "note", textContent: detail })] : [];
  $("status").className = code === "working" ? "" : "alert";
  $("status").replaceChildren(message, ...more);
}

function choose(chosen) {
  file = chosen;
  $("file-name").textContent = file ? file.name : "";
  $("chosen").hidden = !file;
  $("no-file").hidden = Boolean(file);
  $("text").disabled = Boolean(file);
  if (!file) $("file").value = "";
}

// What is asked is kept, so that a download is of what is shown, whatever was typed since.
function question() {
  const published = $("published").value;
  const headers = $("key") ? { Authorization: `Bearer ${$("key").value}` } : {};
  if (file) {
    const body = new FormData();
    body.append("file", file);
    if (published) body.append("published", published);
    return { method: "POST", headers, body };
  }
  const text = $("text").value;
  if (!text.trim()) return null;
  headers["Content-Type"] = "application/json";
  return { method: "POST", headers, body: JSON.stringify(published ? { text, published } : { text }) };
}

async function ask(format) {
  running = new AbortController();
  $("stop").hidden = false;
  for (const button of document.querySelectorAll("#extract, #downloads button")) button.disabled = true;
  say("working");
  try {
    const answer = await fetch(`v1/extract?format=${format}`, { ...asked, signal: running.signal });
    if (answer.ok) {
      const body = format === "html" ? await answer.text() : await answer.blob();
      $("status").replaceChildren();
      return body;
    }
    const { error } = await answer.json();
    say(error.code, [error.message, error.remedy].filter(Boolean).join(" → "));
  } catch (error) {
    say(error.name === "AbortError" ? "stopped" : "unreachable");
  } finally {
    $("stop").hidden = true;
    for (const button of document.querySelectorAll("#extract, #downloads button")) button.disabled = false;
  }
  return null;
}

$("form").addEventListener("submit", async event => {
  event.preventDefault();
  asked = question();
  if (!asked) { say("nothing"); return; }
  $("result").hidden = true;
  const html = await ask("html");
  if (html === null) return;
  $("found").replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.childNodes);
  for (const table of $("found").querySelectorAll("table.sortable")) makeSortable(table);
  $("result").hidden = false;
  $("result").scrollIntoView({ block: "start" });
});

$("downloads").addEventListener("click", async event => {
  const format = event.target.closest("button")?.dataset.format;
  const blob = format && await ask(format);
  if (!blob) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = format === "xlsx" ? "facts.xlsx" : "documents.jsonl";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
});

$("stop").addEventListener("click", () => running.abort());
$("remove").addEventListener("click", () => choose(null));
$("file").addEventListener("change", () => choose($("file").files[0] || null));
$("example").addEventListener("click", () => {
  choose(null);
  $("text").value = "2023年前三季度,全镇完成财政收入2.3亿元,占年度任务的88.6%。\n" +
    "今年以来,柳河街道新建污水管网7.4公里,接待游客近30万人次,同比增长11.2%。";
  $("published").value = "2023-11-02";
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, event => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    $("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) choose(event.dataTransfer.files[0]);
  });
}
