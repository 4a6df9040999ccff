// The images of a data set, unpacked from the page: points, names, findings, and pictures that hold many images each.
class PackedImages {
  static async read(facts) {
    const bytes = await unzipped("points"), count = facts.count;
    const words = new Uint16Array(bytes.buffer, 0, 3 * count);
    const images = new PackedImages();
    images.facts = facts;
    images.count = count;
    images.x = Float32Array.from(words.subarray(0, count), (value) => value / 65535);
    images.y = Float32Array.from(words.subarray(count, 2 * count), (value) => value / 65535);
    images.labels = words.subarray(2 * count);
    images.splits = bytes.subarray(6 * count);
    const text = new TextDecoder();
    const names = text.decode(await unzipped("names"));
    images.names = names === "" ? null : names.split("\0");
    images.findings = JSON.parse(text.decode(await unzipped("findings")));
    images.of = new Map();  // row → its findings as [kind, words]
    for (const [kind, rows, found] of images.findings) {
      for (const row of rows) {
        if (!images.of.has(row)) images.of.set(row, []);
        images.of.get(row).push([kind, found]);
      }
    }
    images.pictures = new Map();  // number → its ImageBitmap, or null while it is decoded
    images.arrived = () => {};
    return images;
  }

  name(row) {
    if (this.names) return this.names[row];
    const split = this.splits[row];
    return `${this.facts.splits[split]}:${row - this.facts.first[split]}`;
  }

  className(row) {
    return this.facts.classes[this.labels[row]];
  }

  splitName(row) {
    return this.facts.splits[this.splits[row]];
  }

  kinds(row) {
    return [...new Set((this.of.get(row) ?? []).map(([kind]) => kind))].sort((a, b) => a - b);
  }

  // Where the image lies: {bitmap, left, top, width, height}; null while its picture is decoded, then `arrived` is called.
  image(row) {
    const { columns, rows, width, height } = this.facts.tiles;
    const number = Math.floor(row / (columns * rows)), place = row % (columns * rows);
    if (!this.pictures.has(number)) {
      this.pictures.set(number, null);
      const holder = document.getElementById(`tile-${number}`);
      createImageBitmap(new Blob([decoded(holder.textContent)], { type: "image/webp" })).then((bitmap) => {
        this.pictures.set(number, bitmap);
        holder.remove();
        this.arrived();
      });
    }
    const bitmap = this.pictures.get(number);
    return bitmap && { bitmap, width, height, left: (place % columns) * width, top: Math.floor(place / columns) * height };
  }

  // A canvas with the image, drawn as soon as it is there.
  canvas(row) {
    const made = document.createElement("canvas");
    made.width = this.facts.tiles.width;
    made.height = this.facts.tiles.height;
    made.setAttribute("role", "img");
    made.setAttribute("aria-label", `${this.name(row)}, ${this.className(row)}`);
    made.dataset.row = row;
    this.fill(made);
    return made;
  }

  fill(canvas) {
    const found = this.image(Number(canvas.dataset.row));
    canvas.classList.toggle("waiting", !found);
    if (!found) return;
    canvas.getContext("2d").drawImage(found.bitmap, found.left, found.top, found.width, found.height, 0, 0,
                                      canvas.width, canvas.height);
  }
}

function decoded(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function unzipped(id) {
  const stream = new Blob([decoded(document.getElementById(id).textContent)]).stream()
    .pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
