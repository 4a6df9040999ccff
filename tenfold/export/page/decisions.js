// The decision rules of the model, as `tenfold.decisions` applies them, in the same precision.

const NEAREST = 5;

// Probabilities at a temperature, of logits.
function softmax(logits, temperature) {
  const scaled = logits.map(value => value / temperature), top = Math.max(...scaled);
  const powers = scaled.map(value => Math.exp(value - top)), total = sum(powers);
  return powers.map(value => value / total);
}

// The numbers of classes in the prediction set, most probable first; null without a rule.
function predictionSet(probabilities, rules) {
  if (rules?.set == null) return null;
  const order = probabilities.map((_, i) => i).sort((a, b) => probabilities[b] - probabilities[a]);
  return order.filter((label, place) => place === 0 || 1 - probabilities[label] <= rules.set);
}

// "accepted", "unsure" or "unknown"; null without rules. bytes: of the image, [height, width, channels].
function decision(probabilities, logits, features, bytes, shape, rules) {
  if (!rules) return null;
  const rule = rules.unknown;
  if (rule && unknownScore(rule, logits, features, bytes, shape) > rule.threshold) return "unknown";
  return rules.accepted !== null && Math.max(...probabilities) > rules.accepted ? "accepted" : "unsure";
}

function unknownScore(rule, logits, features, bytes, shape) {
  rule.unpacked ??= Object.fromEntries(Object.entries(rule.arrays).map(([name, packed]) => [name, rowsOf(packed)]));
  const score = SCORES[rule.score](rule.unpacked, logits, features);
  return rule.pixels ? score + beyond(rule.pixels, statisticsOf(bytes, shape)) : score;
}

// Higher for images of none of the classes.
const SCORES = {
  "maximum softmax": (arrays, logits) => 1 - 1 / powers(logits),
  "maximum logit": (arrays, logits) => -Math.max(...logits),
  "energy": (arrays, logits) => -(Math.max(...logits) + Math.log(powers(logits))),
  "mahalanobis": (arrays, logits, features) => distances(projected(arrays, features), arrays.means)[0],
  "angle": (arrays, logits, features) => distances(unit(projected(arrays, features)), arrays.means.map(unit))[0],
  "neighbours": (arrays, logits, features) => {
    const found = distances(unit(projected(arrays, features)), arrays.prototypes);
    return found[Math.min(NEAREST, found.length) - 1];
  },
  "energy and angle": (arrays, logits, features) => sum(["energy", "angle"].map((name, i) => {
    const [mean, deviation] = arrays.scales[i];
    return (SCORES[name](arrays, logits, features) - mean) / deviation;
  })),
};

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

function powers(logits) {
  const top = Math.max(...logits);
  return sum(logits.map(value => Math.exp(value - top)));
}

function projected({centre: [centre], directions}, features) {
  const point = new Array(directions[0].length).fill(0);
  directions.forEach((row, i) => {
    for (let j = 0; j < row.length; j++) point[j] += (features[i] - centre[i]) * row[j];
  });
  return point;
}

function unit(vector) {
  const length = Math.max(Math.sqrt(sum(vector.map(value => value * value))), 1e-12);
  return vector.map(value => value / length);
}

// The squared distances of a point to others, ascending.
function distances(point, others) {
  return others.map(other => sum(point.map((value, i) => (value - other[i]) ** 2))).sort((a, b) => a - b);
}

// An array packed by `tenfold.decisions.packed`, as rows; one axis is one row.
function rowsOf({shape, scale, float16}) {
  const bytes = atob(float16), values = [];
  for (let i = 0; i < bytes.length; i += 2) {
    const half = bytes.charCodeAt(i) | bytes.charCodeAt(i + 1) << 8, exponent = half >> 10 & 31, rest = half & 1023;
    const size = exponent ? (1024 + rest) * 2 ** (exponent - 25) : rest * 2 ** -24;
    values.push((half & 32768 ? -size : size) * scale);
  }
  const columns = shape[shape.length - 1];
  return Array.from({length: values.length / columns}, (_, i) => values.slice(i * columns, (i + 1) * columns));
}
