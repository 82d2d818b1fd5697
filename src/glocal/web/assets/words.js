// Numbers, dates, places and verdicts in words.

const NUMBER = new Intl.NumberFormat("en");
const MONTH = new Intl.DateTimeFormat("en", { month: "long", year: "numeric", timeZone: "UTC" });
const SHORT_MONTH = new Intl.DateTimeFormat("en", { month: "short", timeZone: "UTC" });
const DAY = new Intl.DateTimeFormat("en", {
  day: "numeric",
  month: "long",
  year: "numeric",
  timeZone: "UTC",
});
const MOMENT = new Intl.DateTimeFormat("en", {
  day: "numeric",
  month: "long",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  hour12: false,
  timeZone: "UTC",
});

/** 12345 as "12,345". */
export const number = (value) => NUMBER.format(value);

/** "1 image", "2,000 images". */
export const count = (value, noun, nouns = `${noun}s`) =>
  `${number(value)} ${value === 1 ? noun : nouns}`;

// The camera's own clock knows no time zone: read as UTC, written as UTC, it stays what it said.
const moment = (taken) => new Date(/Z|[+-]\d\d:\d\d$/.test(taken) ? taken : `${taken}Z`);

/** "2019-05-17T10:30:00" as "17 May 2019, 10:30". */
export const momentOf = (taken) => MOMENT.format(moment(taken));

/** "2019-05-17T10:30:00" as "17 May 2019". */
export const dayOf = (taken) => DAY.format(moment(taken));

/** "2019-05" as "May 2019". */
export const monthOf = (month) => MONTH.format(moment(`${month}-01T00:00:00`));

/** "2019-05" as "May". */
export const shortMonthOf = (month) => SHORT_MONTH.format(moment(`${month}-01T00:00:00`));

/** The last part of a path. */
export const nameOf = (path) => path.split(/[/\\]/).filter(Boolean).pop() ?? path;

/** A path without its last part. */
export const folderOf = (path) => path.replace(/[/\\][^/\\]*$/, "") || "/";

/** "48.8583° N, 2.2945° E" */
export function placeOf(latitude, longitude, digits = 4) {
  const side = (value, plus, minus) =>
    `${Math.abs(value).toFixed(digits)}° ${value < 0 ? minus : plus}`;
  return `${side(latitude, "N", "S")}, ${side(longitude, "E", "W")}`;
}

/** "3 min 20 s" */
export function timeOf(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** The alternative text of an image. */
export function alternativeOf(image) {
  return image.taken ? `${nameOf(image.path)}, ${dayOf(image.taken)}` : nameOf(image.path);
}

const VERDICTS = {
  identical_file: "Identical file",
  copy: "Copy",
  same_object: "Same object",
  similar: "Similar",
};

/** What verification found: `{kind, words, probability}`; `kind` is "matching" or "similar", and
 * the probability is that of the verdict. */
export function verdictOf({ evidence }) {
  const verdict = evidence?.verdict ?? "similar";
  return {
    kind: verdict === "similar" ? "similar" : "matching",
    words: VERDICTS[verdict],
    probability:
      (verdict === "copy" ? evidence?.copy_probability : evidence?.same_probability) ?? null,
  };
}

/** 2500000 as "2.5 MB". */
export function bytesOf(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** A probability in words: nothing but identical bytes is certain. */
export const likelyOf = (probability) =>
  probability > 0.99 && probability < 1 ? "over 99%" : percent(probability);

/** 0.934 as "93%". */
export const percent = (fraction) => `${Math.round(fraction * 100)}%`;
