// What the pixels of an image are like, as `tenfold.decisions.pixels` tells it.

const SCALES = 3, LARGEST = 128, FLAT = 0.9, GREY_LEVELS = 32;

// The statistics of bytes [height, width, channels].
function statisticsOf(bytes, [height, width, channels]) {
  const rows = Math.min(height, LARGEST), columns = Math.min(width, LARGEST);
  const top = height - rows >> 1, left = width - columns >> 1;
  const at = (y, x) => ((top + y) * width + left + x) * channels;
  const planes = Array.from({length: channels}, (_, i) => planeOf(rows, columns, (y, x) => bytes[at(y, x) + i]));
  const middle = planes[channels >> 1];
  let grey = planeOf(rows, columns, (y, x) => sum(planes.map(plane => plane.value(y, x))) / channels);
  const found = ofPlane(grey);
  for (const plane of planes.filter(each => each !== middle)) {
    found.push(...ofPlane(planeOf(rows, columns, (y, x) => plane.value(y, x) - middle.value(y, x))));
  }
  for (let scale = 0; scale < SCALES && Math.min(grey.rows, grey.columns) >= 2; scale++) {
    const joined = signs => planeOf(grey.rows >> 1, grey.columns >> 1, (y, x) => sum(signs.map(
      (sign, i) => sign * grey.value(2 * y + (i >> 1), 2 * x + (i & 1)))) / 2);
    found.push(...ofDetails(joined([1, -1, 1, -1])), ...ofDetails(joined([1, 1, -1, -1])),
               ...ofDetails(joined([1, -1, -1, 1])));
    grey = joined([0.5, 0.5, 0.5, 0.5]);
  }
  return found;
}

// What is added to the score of an image with these statistics.
function beyond(rule, statistics) {
  rule.unpacked ??= {centre: rowsOf(rule.arrays.centre), directions: rowsOf(rule.arrays.whitening)};
  return rule.weight * Math.max(0, strength(projected(rule.unpacked, statistics)) - rule.limit);
}

function planeOf(rows, columns, value) {
  const values = Float64Array.from({length: rows * columns}, (_, i) => value(Math.floor(i / columns), i % columns));
  return {rows, columns, values, value: (y, x) => values[y * columns + x]};
}

function ofPlane({values}) {
  const mean = sum(values) / values.length;
  return [mean / GREY_LEVELS, Math.log1p(strength(values.map(value => value - mean)))];
}

function ofDetails({values}) {
  const sizes = values.map(Math.abs), size = strength(sizes);
  return [Math.log1p(size), (sum(sizes) / sizes.length + 0.1) / (size + 0.1),
          sizes.filter(each => each < FLAT).length / sizes.length];
}

// The root mean square.
function strength(values) {
  return Math.sqrt(sum(values.map(value => value * value)) / values.length);
}
