// Pixels as `tenfold.data.images` makes them: the same averaging and interpolation, number by number.

const GAP = 3; // a large image is averaged down to at least this many times its final size, then interpolated
const BITS = 22; // of the coefficients of the interpolation, as in Pillow

// How an image of rows × columns becomes one of height × width: a part `box` is scaled to `inner` and put at `place`.
function fit(rows, columns, height, width, resize) {
  let box = [0, 0, columns, rows], inner = [height, width];
  if (resize === "pad") {
    const scale = Math.min(height / rows, width / columns);
    inner = [Math.max(1, even(rows * scale)), Math.max(1, even(columns * scale))];
  } else if (resize === "crop") {
    const scale = Math.max(height / rows, width / columns);
    const left = (columns - width / scale) / 2, top = (rows - height / scale) / 2;
    box = [Math.max(0, left), Math.max(0, top), Math.min(columns, columns - left), Math.min(rows, rows - top)];
  }
  const place = [Math.floor((height - inner[0]) / 2), Math.floor((width - inner[1]) / 2)];
  return {box, inner, place};
}

// Rounded to the nearest whole number, halves to the even one, as Python rounds.
function even(value) {
  const low = Math.floor(value), rest = value - low;
  return rest < 0.5 ? low : rest > 0.5 ? low + 1 : low + (low % 2);
}

// RGBA pixels → {data, rows, columns, channels}: grey as ITU-R 601, or RGB.
function channelsOf(rgba, rows, columns, channels) {
  const data = new Uint8Array(rows * columns * channels);
  for (let i = 0, j = 0; i < rgba.length; i += 4) {
    if (channels === 3) {
      data[j++] = rgba[i]; data[j++] = rgba[i + 1]; data[j++] = rgba[i + 2];
    } else {
      data[j++] = (rgba[i] * 19595 + rgba[i + 1] * 38470 + rgba[i + 2] * 7471 + 0x8000) >> 16;
    }
  }
  return {data, rows, columns, channels};
}

// The mean of blocks of down × across pixels; the last row and column of blocks may be smaller.
function reduced(image, down, across) {
  if (down === 1 && across === 1) return image;
  const {data, rows, columns, channels} = image;
  const height = Math.ceil(rows / down), width = Math.ceil(columns / across);
  const result = new Uint8Array(height * width * channels);
  for (let y = 0; y < height; y++) {
    const bottom = Math.min(rows, (y + 1) * down);
    for (let x = 0; x < width; x++) {
      const right = Math.min(columns, (x + 1) * across);
      const count = (bottom - y * down) * (right - x * across);
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let row = y * down; row < bottom; row++) {
          for (let column = x * across; column < right; column++) sum += data[(row * columns + column) * channels + c];
        }
        result[(y * width + x) * channels + c] = Math.floor((sum + Math.floor(count / 2)) / count);
      }
    }
  }
  return {data: result, rows: height, columns: width, channels};
}

// Weights of a triangle filter, widened where it shrinks: for each output, the first input and whole coefficients.
function weights(size, low, high, out) {
  const scale = (high - low) / out, wide = Math.max(scale, 1), result = [];
  for (let i = 0; i < out; i++) {
    const centre = low + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - wide + 0.5)), end = Math.min(size, Math.trunc(centre + wide + 0.5));
    const found = [];
    let sum = 0;
    for (let x = first; x < end; x++) {
      const value = Math.max(0, 1 - Math.abs((x - centre + 0.5) / wide));
      found.push(value);
      sum += value;
    }
    const whole = found.map(value => {
      const each = sum ? value / sum * (1 << BITS) : 0;
      return Math.trunc(each + 0.5);
    });
    result.push([first, whole]);
  }
  return result;
}

function clipped(value) {
  const level = value >> BITS;
  return level < 0 ? 0 : level > 255 ? 255 : level;
}

// Bilinear interpolation of a part of an image to height × width: across, rounded to bytes, then down.
function interpolated(image, box, height, width) {
  const {data, rows, columns, channels} = image;
  const across = weights(columns, box[0], box[2], width), down = weights(rows, box[1], box[3], height);
  const needAcross = width !== columns || box[0] !== 0 || box[2] !== columns;
  const needDown = height !== rows || box[1] !== 0 || box[3] !== rows;
  let between = data;
  if (needAcross) {
    between = new Uint8Array(rows * width * channels);
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < width; x++) {
        const [first, of] = across[x];
        for (let c = 0; c < channels; c++) {
          let sum = 1 << (BITS - 1);
          for (let i = 0; i < of.length; i++) sum += data[(y * columns + first + i) * channels + c] * of[i];
          between[(y * width + x) * channels + c] = clipped(sum);
        }
      }
    }
  }
  if (!needDown) return between;
  const result = new Uint8Array(height * width * channels);
  for (let y = 0; y < height; y++) {
    const [first, of] = down[y];
    for (let x = 0; x < width * channels; x++) {
      let sum = 1 << (BITS - 1);
      for (let i = 0; i < of.length; i++) sum += between[(first + i) * width * channels + x] * of[i];
      result[y * width * channels + x] = clipped(sum);
    }
  }
  return result;
}

// RGBA pixels of an upright image on white → the bytes that the model takes, [height, width, channels].
function modelPixels(rgba, rows, columns, shape, resize) {
  const [height, width, channels] = shape;
  const plan = fit(rows, columns, height, width, resize);
  const [left, top, right, bottom] = plan.box, [tall, broad] = plan.inner;
  const across = Math.trunc((right - left) / broad / GAP) || 1, down = Math.trunc((bottom - top) / tall / GAP) || 1;
  const small = reduced(channelsOf(rgba, rows, columns, channels), down, across);
  const part = interpolated(small, [left / across, top / down, right / across, bottom / down], tall, broad);
  if (tall === height && broad === width) return part;
  const result = new Uint8Array(height * width * channels);
  for (let y = 0; y < tall; y++) {
    result.set(part.subarray(y * broad * channels, (y + 1) * broad * channels),
               ((plan.place[0] + y) * width + plan.place[1]) * channels);
  }
  return result;
}
