"use strict";

const data = JSON.parse(document.getElementById("data").textContent);

// Returns the answer of the server, or throws what is to be said.
async function post(path, field, files) {
  const form = new FormData();
  for (const file of files) form.append(field, file, file.name || "photograph");
  let answer;
  try {
    answer = await fetch(path, { method: "POST", body: form });
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  return answer;
}

const problem = async (answer) =>
  new Error((await answer.json().catch(() => ({}))).detail ?? `The server answered ${answer.status}.`);

const backend = {
  batch: Math.min(8, data.files),
  ready: Promise.resolve(),
  async classify(files) {
    const size = files.reduce((sum, file) => sum + file.size, 0);
    if (size > data.bytes && files.length > 1) {
      // Too much for one request: each by itself.
      const results = [];
      for (const file of files) {
        results.push(...(await backend.classify([file]).catch((error) => [{ error: error.message }])));
      }
      return results;
    }
    if (size > data.bytes) throw new Error(`This file is too large: ${data.megabytes} MiB are taken.`);
    const answer = await post("predict", "files", files);
    const body = await answer.clone().json().catch(() => ({}));
    if (!body.results) throw await problem(answer);
    return body.results;
  },
};
if (data.explains) {
  backend.explain = async (file, name) => {
    const answer = await post(`explain?class=${encodeURIComponent(name)}`, "file", [file]);
    if (!answer.ok) throw await problem(answer);
    return { picture: await answer.blob() };
  };
}
