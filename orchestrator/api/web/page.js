"use strict";
// The page that shows a job's results as they come. What students and the model wrote only ever becomes
// text of an element, never markup.

const byId = (id) => document.getElementById(id);

const FLAGS = {
  truncated: "text tallat",
  control_tokens: "caràcters de control",
  instruction_like: "dona ordres a qui corregeix",
  copied_prompt: "copia la consigna",
  damaged_text: "text malmès",
  low_confidence: "nota poc segura",
  unchecked: "text sense comprovar",
};
const GONE = "No hi ha aquesta feina, o ja ha caducat.";
const ENDS = { completed: "Acabada", cancelled: "Cancel·lada", failed: "No s'ha pogut acabar" };

function cells(result) {
  const sure = result.confidence === null ? "" : `${Math.round(100 * result.confidence)} %`;
  return [
    result.id_alumno,
    result.nota === null ? "–" : String(result.nota),
    result.error ? result.error.message : result.feedback,
    sure,
    result.flags.map((flag) => FLAGS[flag] || flag).join(", "),
  ];
}

function addRow(result) {
  const row = document.createElement("tr");
  row.className = result.status;
  for (const text of cells(result)) {
    const cell = document.createElement("td");
    cell.textContent = text;
    row.append(cell);
  }
  byId("rows").append(row);
}

function duration(seconds) {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

// How long it still takes: from the least to the most, where these differ by much.
function remaining(progress) {
  const range = progress.estimated_remaining_range_seconds;
  const likely = duration(progress.estimated_remaining_seconds);
  if (!range || (range[1] !== null && range[1] < 1.5 * range[0])) return likely;
  const [least, most] = [duration(range[0]), range[1] === null ? null : duration(range[1])];
  if (most === null) return `${least} o més`;
  return least === most ? likely : `de ${least} a ${most}`;
}

function show(envelope) {
  const data = envelope.data;
  if (envelope.event === "error") {
    byId("state").textContent = data.code === "job_expired" ? GONE : data.error;
    return true;
  }
  if (envelope.event === "batch_complete") {
    data.results.forEach(addRow);
    const progress = data.progress;
    byId("done").max = progress.total;
    byId("done").value = progress.completed;
    byId("state").textContent =
      `${progress.completed} de ${progress.total} textos; temps que queda: ${remaining(progress)}`;
    return false;
  }
  byId("state").textContent =
    `${ENDS[data.status]}: ${data.total_processed} textos, ${data.failed_items} sense nota, ${data.total_time_seconds} s`;
  return true;
}

let events = null; // of the job that is shown

function leave() {
  if (events) events.close();
  events = null;
  byId("rows").replaceChildren();
  byId("done").value = 0;
  for (const part of ["done", "links", "marks"]) byId(part).hidden = true;
}

function watch(jobId) {
  leave();
  for (const part of ["job", "done", "links", "marks"]) byId(part).hidden = false;
  byId("state").textContent = "En espera";
  const results = `results/${encodeURIComponent(jobId)}`;
  byId("xlsx").href = `${results}?format=xlsx`;
  byId("csv").href = `${results}?format=csv&locale=ca`;
  const own = new EventSource(`stream/${encodeURIComponent(jobId)}`);
  events = own;
  own.onmessage = (message) => {
    if (show(JSON.parse(message.data))) own.close();
  };
  // The browser comes back by itself, with the id of the last event; an answer other than a stream is final.
  own.onerror = () => {
    if (own.readyState === EventSource.CLOSED) byId("state").textContent = GONE;
  };
}

async function send(submitted) {
  submitted.preventDefault();
  leave();
  byId("job").hidden = false;
  byId("state").textContent = "S'envia";
  const answer = await fetch("evaluate", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: await byId("file").files[0].text(),
  });
  const body = await answer.json();
  if (answer.status !== 202) {
    byId("state").textContent = body.error;
    return;
  }
  history.replaceState(null, "", `?job=${body.job_id}`);
  watch(body.job_id);
}

byId("send").addEventListener("submit", (submitted) => {
  send(submitted).catch(() => { byId("state").textContent = "El servei no respon: torna-ho a provar."; });
});
const asked = new URLSearchParams(location.search).get("job");
if (asked) watch(asked);
