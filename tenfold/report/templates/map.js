// Points on a canvas: moves, zooms, draws dots or their images, finds the nearest point and the points inside a line.
class PointMap {
  // x, y: Float32Array from 0 to 1; image(row): {bitmap, left, top, width, height}, or null while it is not there yet.
  constructor(canvas, x, y, image) {
    Object.assign(this, { canvas, x, y, image, scale: 1, left: 0, top: 0, hovered: -1, line: null, cross: false });
    this.context = canvas.getContext("2d");
    this.count = x.length;
    this.order = shuffled(this.count);
    this.shades = new Uint32Array([0xff888888]);
    this.shadeOf = new Uint16Array(this.count);
    this.faded = new Uint8Array(this.count);
    this.selected = new Uint8Array(this.count);
    this.asked = false;
    this.box = [ends(x), ends(y)];
  }

  resize() {
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const before = this.width ? this.centre() : null;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.ratio = ratio;
    this.canvas.width = Math.max(1, Math.round(this.width * ratio));
    this.canvas.height = Math.max(1, Math.round(this.height * ratio));
    this.pixels = this.context.createImageData(this.canvas.width, this.canvas.height);
    this.words = new Uint32Array(this.pixels.data.buffer);
    if (before) this.lookAt(before[0], before[1]);
    else this.whole();
  }

  // The scale at which the map just fits, in CSS pixels for a distance of 1.
  fit() {
    const [across, down] = this.box.map(([low, high]) => Math.max(high - low, 0.05));
    const room = (side) => Math.max(10, side - 2 * PointMap.MARGIN);
    return Math.min(room(this.width) / across, room(this.height) / down);
  }

  whole() {
    this.scale = this.fit();
    this.lookAt(...this.box.map(([low, high]) => (low + high) / 2));
  }

  lookAt(x, y) {
    this.left = this.width / 2 - x * this.scale;
    this.top = this.height / 2 - y * this.scale;
    this.draw();
  }

  centre() {
    return [(this.width / 2 - this.left) / this.scale, (this.height / 2 - this.top) / this.scale];
  }

  move(across, down) {
    this.left += across;
    this.top += down;
    this.draw();
  }

  zoom(factor, atX = this.width / 2, atY = this.height / 2) {
    const wanted = Math.min(Math.max(this.scale * factor, 0.5 * this.fit()), 400 * this.fit());
    const used = wanted / this.scale;
    this.left = atX - (atX - this.left) * used;
    this.top = atY - (atY - this.top) * used;
    this.scale = wanted;
    this.draw();
  }

  inView() {
    const rows = [];
    for (let row = 0; row < this.count; row++) {
      const px = this.x[row] * this.scale + this.left, py = this.y[row] * this.scale + this.top;
      if (px >= 0 && py >= 0 && px < this.width && py < this.height && !this.faded[row]) rows.push(row);
    }
    return rows;
  }

  nearest(px, py, most) {
    let best = -1, least = most * most;
    for (let row = 0; row < this.count; row++) {
      const across = this.x[row] * this.scale + this.left - px, down = this.y[row] * this.scale + this.top - py;
      const distance = across * across + down * down;
      if (distance < least && !this.faded[row]) {
        least = distance;
        best = row;
      }
    }
    return best;
  }

  // Rows inside a closed line [[px, py], …] of positions on the canvas.
  inside(line) {
    const rows = [];
    for (const row of this.inView()) {
      const px = this.x[row] * this.scale + this.left, py = this.y[row] * this.scale + this.top;
      let odd = false;
      for (let i = 0, j = line.length - 1; i < line.length; j = i++) {
        const [ax, ay] = line[i], [bx, by] = line[j];
        if (ay > py !== by > py && px < (bx - ax) * (py - ay) / (by - ay) + ax) odd = !odd;
      }
      if (odd) rows.push(row);
    }
    return rows;
  }

  draw() {
    if (this.asked || !this.width) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.paint();
    });
  }

  paint() {
    const began = performance.now();
    const style = getComputedStyle(this.canvas);
    this.ink = style.color;
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const zoomed = Math.sqrt(this.scale / this.fit());
    const room = Math.sqrt(this.width * this.height / Math.max(1, this.count));
    const radius = Math.min(Math.max(room * 0.16, 0.8) * zoomed, 6) * this.ratio;
    this.words.fill(0);
    const ink = dark ? 0xffffffff : 0xff1f1f1f, grey = dark ? 0xff46403a : 0xffd9d4d0;
    if (this.faded.some(Boolean)) this.dots(radius, (row) => this.faded[row] ? grey : 0);
    this.dots(radius + 1.5 * this.ratio, (row) => this.selected[row] && !this.faded[row] ? ink : 0);
    this.dots(radius, (row) => this.faded[row] ? 0 : this.shades[this.shadeOf[row]]);
    this.context.putImageData(this.pixels, 0, 0);
    this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    const shown = this.inView();
    if (shown.length <= PointMap.PICTURED && zoomed > 1.05) this.pictures(shown);
    this.marks(radius / this.ratio);
    this.canvas.dataset.milliseconds = (performance.now() - began).toFixed(1);
  }

  // Discs of a radius in device pixels, in the colour that shade(row) gives as 0xAABBGGRR; none where it is 0.
  dots(radius, shade) {
    const { words } = this, width = this.canvas.width, height = this.canvas.height;
    const reach = Math.max(1, Math.round(radius)), spans = [];
    for (let down = -reach; down <= reach; down++) spans.push(Math.floor(Math.sqrt(Math.max(0, (reach + 0.3) ** 2 - down ** 2))));
    const scale = this.scale * this.ratio, left = this.left * this.ratio, top = this.top * this.ratio;
    for (let i = 0; i < this.count; i++) {
      const row = this.order[i], colour = shade(row);
      if (colour === 0) continue;
      const px = Math.round(this.x[row] * scale + left), py = Math.round(this.y[row] * scale + top);
      if (px < -reach || py < -reach || px >= width + reach || py >= height + reach) continue;
      for (let down = -reach; down <= reach; down++) {
        const line = py + down;
        if (line < 0 || line >= height) continue;
        const span = spans[down + reach], end = line * width + Math.min(width, px + span + 1);
        for (let at = line * width + Math.max(0, px - span); at < end; at++) words[at] = colour;
      }
    }
  }

  pictures(rows) {
    const side = Math.min(64, Math.max(20, 0.7 * Math.sqrt(this.width * this.height / Math.max(1, rows.length))));
    for (const row of rows) {
      const found = this.image(row);
      if (!found) continue;
      const shrink = side / Math.max(found.width, found.height);
      const wide = found.width * shrink, tall = found.height * shrink;
      const px = this.x[row] * this.scale + this.left - wide / 2, py = this.y[row] * this.scale + this.top - tall / 2;
      this.context.fillStyle = this.selected[row] ? this.ink : css(this.shades[this.shadeOf[row]]);
      this.context.fillRect(px - 2, py - 2, wide + 4, tall + 4);
      this.context.drawImage(found.bitmap, found.left, found.top, found.width, found.height, px, py, wide, tall);
    }
  }

  marks(radius) {
    const { context } = this;
    context.strokeStyle = this.ink;
    context.lineWidth = 2;
    if (this.hovered >= 0) {
      context.beginPath();
      context.arc(this.x[this.hovered] * this.scale + this.left, this.y[this.hovered] * this.scale + this.top, radius + 5, 0, 7);
      context.stroke();
    }
    if (this.cross) {
      const px = this.width / 2, py = this.height / 2;
      context.beginPath();
      for (const [ax, ay] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(px + 6 * ax, py + 6 * ay);
        context.lineTo(px + 14 * ax, py + 14 * ay);
      }
      context.stroke();
    }
    if (this.line) {
      context.beginPath();
      for (const [px, py] of this.line) context.lineTo(px, py);
      context.closePath();
      context.setLineDash([5, 4]);
      context.stroke();
      context.setLineDash([]);
    }
  }
}
PointMap.MARGIN = 16;  // CSS pixels around the whole map
PointMap.PICTURED = 300;  // so few dots in view become their images

function ends(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}

// The numbers below count in a random order, the same each time: no class hides the others.
function shuffled(count) {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  let state = 1;
  for (let i = count - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = state % (i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

// "#rrggbb" as 0xAABBGGRR, and back as CSS.
function packed(colour) {
  const value = parseInt(colour.slice(1), 16);
  return (0xff000000 | ((value & 0xff) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}

function css(shade) {
  return `rgb(${shade & 0xff} ${(shade >> 8) & 0xff} ${(shade >> 16) & 0xff})`;
}
