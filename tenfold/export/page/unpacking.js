// What the page holds as text: compressed with xz or gzip, 7 bits a character, as `tenfold.export.page.packing` writes it.

const {XzReadableStream} = window["xz-decompress"];
const WORD = 4; // bytes of a float32

function bytesIn(text) {
  const bytes = new Uint8Array(Math.floor(text.length * 7 / 8));
  let held = 0, bits = 0, at = 0;
  for (let i = 0; i < text.length; i++) {
    held = held << 7 | text.charCodeAt(i) & 127;
    bits += 7;
    if (bits >= 8) bytes[at++] = held >> (bits -= 8);
  }
  return bytes;
}

const xz = stream => new XzReadableStream(stream);
const gzip = stream => stream.pipeThrough(new DecompressionStream("gzip"));

// Takes the text out of the page, so that its memory can be used again.
async function unpacked(id, decompressed) {
  const holder = element(id), bytes = bytesIn(holder.textContent);
  holder.remove();
  return new Uint8Array(await new Response(decompressed(new Blob([bytes]).stream())).arrayBuffer());
}

// The bytes of a model, from all first bytes of its 4-byte words, then all second bytes and so on.
function ungrouped(bytes) {
  const words = Math.floor(bytes.length / WORD), result = bytes.slice();
  for (let place = 0, at = 0; place < WORD; place++) {
    for (let i = place; i < words * WORD; i += WORD) result[i] = bytes[at++];
  }
  return result;
}
