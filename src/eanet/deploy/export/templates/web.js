"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const LARGEST = 4_000_000; // pixels; larger photographs are scaled down first, or phones run out of memory

const started = start();
started.catch((error) => say(error.message));

// The runtime is code of another host: nothing of it runs unless its hash is the expected one.
async function start() {
  if (location.protocol === "file:") {
    throw new Error("Open this page through a web server, such as: python -m http.server");
  }
  say("Loading …");
  const { script, binary } = data.runtime;
  const [code, wasm, model] = await Promise.all([download(script), download(binary), download({ url: "model.onnx" })]);
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const ort = await import(url);
  URL.revokeObjectURL(url);
  ort.env.wasm.numThreads = 1; // more need headers that few servers send
  ort.env.wasm.wasmBinary = wasm;
  const session = await ort.InferenceSession.create(new Uint8Array(model));
  say("Ready.");
  return { ort, session };
}

async function download({ url, integrity = "" }) {
  let answer;
  try {
    answer = await fetch(url, { integrity });
  } catch {
    throw new Error(`Cannot load ${url}: there is no network, or it is not the expected file.`);
  }
  if (!answer.ok) throw new Error(`Cannot load ${url}: the server answered ${answer.status}.`);
  return answer.arrayBuffer();
}

// Browsers keep the upper 8 bits of a grey PNG of 16, of which a model of 12 bits needs the others.
async function isDeep(file) {
  const start = new Uint8Array(await file.slice(0, 26).arrayBuffer());
  const isPng = [0x89, 0x50, 0x4e, 0x47].every((byte, i) => start[i] === byte);
  return isPng && start[24] === 16 && start[25] === 0; // bits, and grey without transparency
}

// Upright, on white where it is transparent, without conversion of colours: as in training.
async function decode(file) {
  if (data.input.levels && (await isDeep(file))) {
    throw new Error("Browsers read only 8 of the 16 bits of this image, and the model needs the others.");
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
  } catch {
    throw new Error("This is not an image that this browser can read.");
  }
  const scale = Math.min(1, Math.sqrt(LARGEST / (bitmap.width * bitmap.height)));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(scale * side)));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const from = context.getImageData(0, 0, width, height).data;
  const pixels = new Uint8Array(3 * width * height);
  for (let i = 0, j = 0; j < pixels.length; i += 4) {
    pixels[j++] = from[i];
    pixels[j++] = from[i + 1];
    pixels[j++] = from[i + 2];
  }
  return { pixels, width, height };
}

const backend = {
  batch: 1,
  ready: started,
  async classify([file]) {
    const { ort, session } = await started;
    const { pixels, width, height } = await decode(file);
    const input = new ort.Tensor("uint8", pixels, [1, height, width, 3]);
    const { probabilities, distance } = await session.run({ pixels: input });
    const predictions = data.classes
      .map((name, number) => ({ class: name, probability: probabilities.data[number] }))
      .sort((a, b) => b.probability - a.probability);
    return [{ predictions: predictions.slice(0, 5), distance: distance?.data[0] }];
  },
};
