// A run as a file of JSON Lines: the run itself, its pictures, then its events. Written and read without the server.

import { FIELDS } from "./events.js";
import { picturesIn } from "./pictures.js";

/** @typedef {import("./events.js").RunEvent} RunEvent */
/** @typedef {import("./events.js").RunObject} RunObject */
/** @typedef {{number: number, value: any}} Line */

const SAFE = /[^\w.-]+/g;
const COMMON = { seq: "number", timestamp: "string" };
/** @type {Record<string, unknown>} */
const EMPTY = { string: "", number: 0, boolean: false, object: {} };

/**
 * Give the run to the browser to save.
 * @param {RunObject} run
 * @param {RunEvent[]} events
 */
export async function save(run, events) {
    const pictures = await picturesIn(events.map((event) => ("content" in event && event.type !== "token" ? event.content : "")).join("\n"));
    const files = pictures.map(async ([id, blob]) => ({ object: "file", id, media_type: blob.type, base64: await base64Of(blob) }));
    const lines = [{ ...run, watch_url: undefined }, ...(await Promise.all(files)), ...events].map((each) => JSON.stringify(each));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "application/jsonl" }));
    link.download = `${String(run.id || "run").replace(SAFE, "_").slice(0, 80)}.jsonl`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** @param {Blob} blob */
async function base64Of(blob) {
    let text = "";
    for (const byte of new Uint8Array(await blob.arrayBuffer())) text += String.fromCharCode(byte);
    return btoa(text);
}

/**
 * What is in such a file. Throws an Error that says which line is wrong, and in what.
 * @param {string} text
 */
export function read(text) {
    /** @type {Partial<RunObject>} */
    let run = {};
    /** @type {RunEvent[]} */
    const events = [];
    /** @type {Map<string, Blob>} */
    const pictures = new Map();
    for (const line of linesOf(text)) {
        if (line.value.object === "run") run = runOf(line.value);
        else if (line.value.object === "file") pictures.set(String(line.value.id), pictureOf(line));
        else events.push(eventOf(line));
    }
    if (!events.length) throw new Error("This file has no events of a run.");
    return { run, events, pictures };
}

/** @param {string} text */
function* linesOf(text) {
    let number = 0;
    for (const line of text.replace(/^\uFEFF/, "").split("\n")) {
        number += 1;
        if (!line.trim()) continue;
        let value;
        try {
            value = JSON.parse(line);
        } catch {
            throw new Error(`Line ${number} of this file is not JSON.`);
        }
        if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error(`Line ${number} of this file is no JSON object.`);
        yield { number, value };
    }
}

/** @param {any} value */
function runOf(value) {
    const texts = ["id", "model", "team", "question"].map((name) => [name, typeof value[name] === "string" ? value[name] : ""]);
    return Object.fromEntries(texts);
}

/** @param {Line} line */
function pictureOf({ number, value }) {
    try {
        const bytes = Uint8Array.from(atob(value.base64), (each) => each.charCodeAt(0));
        return new Blob([bytes], { type: String(value.media_type) });
    } catch {
        throw new Error(`Line ${number} of this file is no picture: its base64 is damaged.`);
    }
}

/**
 * An event with all fields of its kind. What is missing, as in a file of an older server, is empty.
 * @param {Line} line
 * @returns {RunEvent}
 */
function eventOf({ number, value }) {
    if (typeof value.type !== "string" || typeof value.seq !== "number" || typeof value.timestamp !== "string" || Number.isNaN(Date.parse(value.timestamp))) {
        throw new Error(`Line ${number} of this file is no event of a run: it needs a type, a seq and a timestamp.`);
    }
    const known = FIELDS.get(value.type);
    if (known === undefined) return value;
    const fields = Object.entries({ ...COMMON, ...known }).map(([name, types]) => {
        const given = Object.hasOwn(value, name) ? value[name] : emptyOf(types);
        const type = given === null ? "null" : typeof given;
        if (!types.split("|").includes(type)) throw new Error(`Line ${number} of this file: the ${name} of a ${value.type} is no ${types.replace("|", " or ")}.`);
        return [name, given];
    });
    return { ...Object.fromEntries(fields), type: value.type, run_id: value.run_id };
}

/** @param {string} types */
const emptyOf = (types) => (types.includes("null") ? null : EMPTY[types]);
