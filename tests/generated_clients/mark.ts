// A class marked by a program that knows nothing but the types made from /openapi.json.
import type { components, paths } from "./schema";

type Accepted = components["schemas"]["Accepted"];
type Event = components["schemas"]["Event"];
type Refusal = components["schemas"]["Error"];
type Results = components["schemas"]["Results"];
type Body = paths["/evaluate"]["post"]["requestBody"]["content"]["application/json"];

const url = process.argv[2];

function told(event: Event): string {
  switch (event.event) {
    case "batch_complete":
      return `${event.data.batch_number}: ${event.data.results.map((one) => one.nota ?? one.error?.code).join(" ")}`;
    case "complete":
      return `${event.data.status} ${event.data.total_processed}`;
    case "error":
      return event.data.code;
    default: {
      const never: never = event; // every kind has its own case
      return never;
    }
  }
}

const item = { curso: "3r ESO", consigna: "Explica la pluja.", respuesta: "Plou." };
const body: Body = { items: [1, 2, 3].map((id) => ({ ...item, id_alumno: `A${id}` })), priority: "normal" };
const posted = await fetch(`${url}/evaluate`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});
const job = (await posted.json()) as Accepted;
const stream = await (await fetch(url + job.stream_url)).text();
for (const line of stream.split("\n")) {
  if (line.startsWith("data: ")) console.log(told(JSON.parse(line.slice(6)) as Event));
}
const results = (await (await fetch(`${url}/results/${job.job_id}`)).json()) as Results;
console.log(results.results.map((one) => one.feedback).join(" | "));
const missing = (await (await fetch(`${url}/status/0f8fad5b-d9cb-469f-a165-70867728950e`)).json()) as Refusal;
console.log(missing.code);
