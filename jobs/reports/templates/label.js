"use strict";
// The sample of one scored day, labelled by one person. The labels stay in this browser until they are saved as a CSV.
const sample = JSON.parse(document.getElementById("rows").textContent);
const WORDS = {
  en: {
    heading: `Opinions of ${sample.dt}: complaint or junk?`,
    task: "A valid complaint names something wrong that somebody should look into. Chit-chat, advertising, praise, news and plain questions are junk. If you cannot decide, skip.",
    complaint: "Complaint", junk: "Junk", skip: "Skip", back: "Back", space: "Space",
    name: "Your name, if several people label this sample:", save: "Save the labels", language: "中文",
    load: "Then load the file:", kept: "Your labels stay in this browser if you close the tab.",
    lost: "This browser stores nothing for this page: save before you close the tab.",
    position: (at, all) => `${at} of ${all}`, source: name => `Source: ${name}`,
    counts: c => `${c[1]} complaints, ${c[0]} junk, ${c.skip} skipped, ${c.left} left`,
    end: c => c.left + c.skip ? `End of the sample. ${c.left + c.skip} texts have no label. Save what you have, or go back.`
                              : "All texts have a label. Save them.",
    saved: (file, rows) => `Saved ${file} with ${rows} labels. A download of the same name may get a number.`,
  },
  zh: {
    heading: `${sample.dt} 的舆情：有效投诉还是垃圾？`,
    task: "有效投诉：指出了需要有人处理的问题。闲聊、广告、表扬、新闻和一般咨询都是垃圾。拿不准就跳过。",
    complaint: "有效投诉", junk: "垃圾", skip: "跳过", back: "上一条", space: "空格",
    name: "多人标注同一样本时，请填姓名：", save: "保存标注", language: "English",
    load: "然后导入文件：", kept: "关闭标签页后，标注仍保留在本浏览器中。",
    lost: "本浏览器不为此页面保存数据：关闭之前请先保存。",
    position: (at, all) => `第 ${at} 条，共 ${all} 条`, source: name => `来源：${name}`,
    counts: c => `投诉 ${c[1]}，垃圾 ${c[0]}，跳过 ${c.skip}，剩余 ${c.left}`,
    end: c => c.left + c.skip ? `样本已到末尾，还有 ${c.left + c.skip} 条没有标注。可以先保存，也可以返回。` : "全部标注完成，请保存。",
    saved: (file, rows) => `已保存 ${file}，共 ${rows} 条标注。若有同名文件，浏览器可能加上编号。`,
  },
};
const element = id => document.getElementById(id);
const KEY = `opinion-labels/${sample.name}`;
const state = { at: 0, labels: {}, labeller: "", language: navigator.language.startsWith("zh") ? "zh" : "en" };
let stored = true;
try {
  Object.assign(state, JSON.parse(localStorage.getItem(KEY) || "{}"));
} catch { stored = false; }

function keep() {
  try { localStorage.setItem(KEY, JSON.stringify(state)); } catch { stored = false; }
}

function counts() {
  const rows = { 0: 0, 1: 0, skip: 0, left: 0 };
  sample.rows.forEach((_, row) => rows[state.labels[row] ?? "left"]++);
  return rows;
}

function show() {
  const words = WORDS[state.language], row = sample.rows[state.at], now = counts();
  document.documentElement.lang = state.language === "zh" ? "zh-CN" : "en";
  document.querySelectorAll("[data-words]").forEach(one => { one.textContent = words[one.dataset.words]; });
  if (!stored) element("kept").textContent = words.lost;
  element("text").textContent = row ? row.text : words.end(now);
  element("text").className = row ? "" : "end";
  element("text").scrollTop = 0;
  element("source").textContent = row && row.source ? words.source(row.source) : "";
  element("position").textContent = row ? words.position(state.at + 1, sample.rows.length) : "";
  element("counts").textContent = words.counts(now);
  const bar = document.querySelector(".bar"), done = sample.rows.length - now.left;
  bar.setAttribute("aria-valuenow", done);
  bar.firstElementChild.style.width = `${100 * done / Math.max(sample.rows.length, 1)}%`;
  const label = row && state.labels[state.at];
  element("complaint").classList.toggle("chosen", label === 1);
  element("junk").classList.toggle("chosen", label === 0);
  element("skip").classList.toggle("chosen", label === "skip");
  ["complaint", "junk", "skip"].forEach(id => { element(id).disabled = !row; });
  element("back").disabled = state.at === 0;
  element("labeller").value = state.labeller;
}

function choose(label) {
  if (state.at >= sample.rows.length) return;
  state.labels[state.at] = label;
  state.at++;
  keep();
  show();
}

function back() {
  state.at = Math.max(0, state.at - 1);
  keep();
  show();
}

// RFC 4180, as load_labels reads it; a skipped text keeps an empty label.
function csv() {
  const cell = value => /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  const label = row => typeof state.labels[row] === "number" ? String(state.labels[row]) : "";
  const lines = sample.rows.map((row, number) => sample.columns.map(
    column => cell(column === "label" ? label(number) : row.cells[column] ?? "")));
  return "\ufeff" + [sample.columns, ...lines].map(line => line.join(",") + "\r\n").join("");
}

function save() {
  const labeller = state.labeller.trim().replace(/[^\p{L}\p{N}_-]+/gu, "-");
  const file = `${sample.name}${labeller ? "." + labeller : ""}.csv`;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv;charset=utf-8" }));
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  const now = counts();
  element("saved").textContent = WORDS[state.language].saved(file, now[0] + now[1]);
}

const PRESSED = { "1": () => choose(1), "0": () => choose(0), " ": () => choose("skip"),
  "ArrowLeft": back, "Backspace": back, "s": save, "S": save };
document.addEventListener("keydown", event => {
  if (event.target === element("labeller") || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const act = PRESSED[event.key];
  if (act) { event.preventDefault(); act(); }
});
element("complaint").onclick = () => choose(1);
element("junk").onclick = () => choose(0);
element("skip").onclick = () => choose("skip");
element("back").onclick = back;
element("save").onclick = save;
element("language").onclick = () => { state.language = state.language === "zh" ? "en" : "zh"; keep(); show(); };
element("labeller").oninput = event => { state.labeller = event.target.value; keep(); };
show();
