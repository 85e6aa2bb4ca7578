
// What an answer rests on, as `eanet explain` measures it: how far hiding each square of what the
// model sees lowers the probability of a class.

const SHARE = 0.1; // of the squares that count as the strongest
const DRAWS = 16; // random choices of as many squares
const AT_ONCE = 16; // images in a batch
const PANEL = 336; // side of a picture in pixels
const GAP = 16;
const TINY = 32; // side up to which an image keeps its square pixels
const COLOURS = ["440154", "482878", "3e4989", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725"]
  .map((text) => [0, 2, 4].map((at) => parseInt(text.slice(at, at + 2), 16))); // viridis, evenly spaced

// For each of `count` pixels of a result, which of `length` pixels between `start` and `end` it
// mixes, and how much of each: a triangle as wide as the reduction, as in Pillow.
function mixtures(length, start, end, count) {
  const scale = (end - start) / count;
  const reach = Math.max(scale, 1);
  return Array.from({ length: count }, (_, number) => {
    const centre = start + (number + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - reach + 0.5));
    const last = Math.min(length, Math.floor(centre + reach + 0.5));
    const parts = Array.from({ length: last - first }, (_, i) =>
      Math.max(0, 1 - Math.abs(first + i + 0.5 - centre) / reach),
    );
    const sum = parts.reduce((a, b) => a + b);
    return { first, parts: parts.map((part) => part / sum) };
  });
}

// The width, then the height; rounded after each.
function resize({ pixels, width, height }, [left, top, right, bottom], columns, rows) {
  const across = mixtures(width, left, right, columns);
  const down = mixtures(height, top, bottom, rows);
  const narrow = new Uint8ClampedArray(3 * columns * height);
  for (let y = 0, to = 0; y < height; y++)
    for (const { first, parts } of across)
      for (let channel = 0; channel < 3; channel++) {
        let from = 3 * (y * width + first) + channel;
        let sum = 0;
        for (const part of parts) {
          sum += part * pixels[from];
          from += 3;
        }
        narrow[to++] = sum;
      }
  const result = new Uint8ClampedArray(3 * columns * rows);
  const line = 3 * columns;
  for (let y = 0, to = 0; y < rows; y++)
    for (let x = 0; x < line; x++) {
      const { first, parts } = down[y];
      result[to++] = parts.reduce((sum, part, i) => sum + part * narrow[(first + i) * line + x], 0);
    }
  return result;
}

// The nearest whole number, of two the even one, as in Python.
function rounded(number) {
  const nearest = Math.round(number);
  return nearest - number === 0.5 && nearest % 2 ? nearest - 1 : nearest;
}

// The square that the model makes of an image before anything else.
function seen(image) {
  const { size, fit, fill } = data.input;
  const { width, height } = image;
  if (fit === "squash") return resize(image, [0, 0, width, height], size, size);
  if (fit === "crop") {
    const side = Math.min(width, height);
    const [left, top] = [(width - side) / 2, (height - side) / 2];
    return resize(image, [left, top, left + side, top + side], size, size);
  }
  const longer = Math.max(width, height);
  const [columns, rows] = [width, height].map((side) => Math.max(1, rounded((side * size) / longer)));
  const inner = resize(image, [0, 0, width, height], columns, rows);
  const [left, top] = [columns, rows].map((side) => Math.floor((size - side) / 2));
  const square = new Uint8ClampedArray(3 * size * size);
  for (let at = 0; at < square.length; at++) square[at] = fill[at % 3];
  for (let y = 0; y < rows; y++) {
    square.set(inner.subarray(3 * y * columns, 3 * (y + 1) * columns), 3 * ((top + y) * size + left));
  }
  return square;
}

// Random numbers from 0 to 1, the same each time.
function* random() {
  for (let state = 1; ; state = (state * 48271) % 2147483647) yield state / 2147483647;
}

// Promises how far hiding each square lowers the probability that `ask` finds for batches of images.
async function rate(pixels, ask, tell) {
  const { size, side, cover } = data.input;
  const grid = Math.ceil(size / side);
  const count = grid * grid;
  let done = 0;
  async function without(choices) {
    const found = [];
    for (let start = 0; start < choices.length; start += AT_ONCE) {
      const some = choices.slice(start, start + AT_ONCE);
      const batch = new Uint8Array(some.length * pixels.length);
      some.forEach((squares, number) => {
        const image = batch.subarray(number * pixels.length, (number + 1) * pixels.length);
        image.set(pixels);
        for (const square of squares) hide(image, square);
      });
      found.push(...(await ask(batch, some.length)));
      done += some.length;
      tell(`Hiding parts … ${Math.round((100 * done) / (1 + count + 1 + DRAWS))}%`);
      await new Promise((ready) => setTimeout(ready)); // so that the page can show it
    }
    return found;
  }
  function hide(image, square) {
    const [x, y] = [side * (square % grid), side * Math.floor(square / grid)];
    for (let row = y; row < Math.min(y + side, size); row++)
      for (let column = x; column < Math.min(x + side, size); column++)
        image.set(cover, 3 * (row * size + column));
  }
  const all = [...Array(count).keys()];
  const [probability, ...each] = await without([[], ...all.map((square) => [square])]);
  const losses = each.map((one) => probability - one);
  const strongest = [...all]
    .sort((a, b) => losses[b] - losses[a])
    .slice(0, Math.max(1, rounded(SHARE * count)))
    .filter((square) => losses[square] > 0);
  const numbers = random();
  const draws = Array.from({ length: DRAWS }, () =>
    all
      .map((square) => [numbers.next().value, square])
      .sort(([a], [b]) => a - b)
      .slice(0, strongest.length)
      .map(([, square]) => square),
  );
  const [together, ...others] = await without([strongest, ...draws]);
  return { grid, losses, strongest, probability, together, others: others.reduce((a, b) => a + b) / DRAWS };
}

// What the model sees, and beside it, in pale grey, how much each square matters.
function draw(pixels, { grid, losses, strongest }) {
  const { size, side } = data.input;
  const canvas = Object.assign(document.createElement("canvas"), { width: 2 * PANEL + GAP, height: PANEL });
  const context = canvas.getContext("2d");
  const small = new OffscreenCanvas(size, size);
  const pen = small.getContext("2d");
  context.imageSmoothingEnabled = size > TINY;
  context.imageSmoothingQuality = "high";
  for (const [left, colour] of [[0, (x) => x], [PANEL + GAP, pale]]) {
    const image = pen.createImageData(size, size);
    for (let at = 0; at < size * size; at++) {
      image.data.set([...colour(pixels.subarray(3 * at, 3 * at + 3)), 255], 4 * at);
    }
    pen.putImageData(image, 0, 0);
    context.drawImage(small, left, 0, PANEL, PANEL);
  }
  const most = Math.max(...losses, 1e-12);
  const scale = PANEL / size;
  const place = (square) => {
    const [x, y] = [side * (square % grid), side * Math.floor(square / grid)];
    const [width, height] = [x, y].map((at) => Math.min(side, size - at));
    return [PANEL + GAP + scale * x, scale * y, scale * width, scale * height];
  };
  losses.forEach((loss, square) => {
    context.fillStyle = `rgb(${shade(Math.max(0, loss) / most).join(" ")} / .75)`;
    context.fillRect(...place(square));
  });
  for (const [width, colour] of [[4, "#1f2933"], [1.5, "white"]]) {
    Object.assign(context, { lineWidth: width, strokeStyle: colour });
    for (const square of strongest) context.strokeRect(...place(square));
  }
  return new Promise((ready) => canvas.toBlob(ready));
}

function pale([red, green, blue]) {
  const grey = (200 + (red + green + blue) / 3) / 2.18;
  return [grey, grey, grey];
}

function shade(share) {
  const at = share * (COLOURS.length - 1);
  const below = Math.min(Math.floor(at), COLOURS.length - 2);
  return COLOURS[below].map((low, channel) => low + (at - below) * (COLOURS[below + 1][channel] - low));
}

backend.explain = async (file, name, tell) => {
  const { ort, session } = await started;
  const { size } = data.input;
  const pixels = seen(await decode(file));
  const label = data.classes.indexOf(name);
  const rated = await rate(pixels, async (batch, count) => {
    const input = new ort.Tensor("uint8", batch, [count, size, size, 3]);
    const { probabilities } = await session.run({ pixels: input });
    return Array.from({ length: count }, (_, number) => probabilities.data[number * data.classes.length + label]);
  }, tell);
  const part = (share) => `${(100 * share).toFixed(1)}%`;
  const most = Math.max(...rated.losses, 0);
  const check = rated.strongest.length
    ? `The ${rated.strongest.length} outlined squares hidden together leave ${part(rated.together)}; as many at random leave ${part(rated.others)}.`
    : "Hiding any one square costs none.";
  return {
    picture: await draw(pixels, rated),
    caption:
      `Left: what the model sees, ${size} x ${size} pixels. Right: how much of the ${part(rated.probability)} for “${name}” ` +
      `is lost if a square is hidden under the mean colour, from none (violet) to ${(100 * most).toFixed(1)} points (yellow). ${check}`,
  };
};
