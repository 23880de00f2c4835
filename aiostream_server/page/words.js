// Names and numbers as words. Pure.

/** @param {number|null|undefined} value */
export function seconds(value) {
    if (value === null || value === undefined) return "–";
    if (value < 1) return `${Math.round(value * 1000)} ms`;
    if (value < 59.95) return `${value.toFixed(1)} s`;
    const whole = Math.round(value);
    return whole < 3600 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** @param {number|null|undefined} value */
export function bytes(value) {
    if (value === null || value === undefined) return "–";
    return value < 10000 ? `${value.toLocaleString("en")} bytes` : `${Math.round(value / 1000).toLocaleString("en")} kB`;
}

/**
 * @param {number} value
 * @param {string} noun
 */
export const count = (value, noun) => `${value.toLocaleString("en")} ${noun}${value === 1 ? "" : "s"}`;

/**
 * A name of an agent or a tool, without characters that turn text around or cannot be seen, and without heaps of accents.
 * @param {string} text
 */
export const nameOf = (text) => text && (text.replace(/[\p{Cc}\p{Bidi_Control}\u200B\u2060\uFEFF]/gu, "\uFFFD").replace(/(\p{M}{3})\p{M}+/gu, "$1").trim() || "(no name)");

/**
 * A long name with its beginning and its end.
 * @param {string} name
 * @param {number} most In characters.
 */
export function shortened(name, most) {
    const letters = [...name];
    return letters.length > most ? `${letters.slice(0, Math.ceil(most / 2)).join("")}…${letters.slice(1 - Math.floor(most / 2)).join("")}` : name;
}

/**
 * The first of many names, and how many more there are.
 * @param {string[]} names
 * @param {number} most
 */
export const someOf = (names, most) => (names.length > most ? `${names.slice(0, most).join(", ")} and ${count(names.length - most, "other")}` : names.join(", "));
