// A run as a file of JSON Lines: the run itself, then its events. Written and read without the server.

const SAFE = /[^\w.-]+/g;

/** @returns {Blob} */
export function fileOf(run, events) {
    const lines = [{ ...run, watch_url: undefined }, ...events].map((each) => JSON.stringify(each));
    return new Blob([`${lines.join("\n")}\n`], { type: "application/jsonl" });
}

export function save(run, events) {
    const address = URL.createObjectURL(fileOf(run, events));
    const link = document.createElement("a");
    link.href = address;
    link.download = `${String(run.id).replace(SAFE, "_")}.jsonl`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
}

/** The run and the events of such a file. Throws an Error that says which line is wrong. */
export function read(text) {
    const lines = text.split("\n").filter((line) => line.trim());
    const values = lines.map((line, index) => {
        try {
            return JSON.parse(line);
        } catch {
            throw new Error(`Line ${index + 1} of this file is not JSON.`);
        }
    });
    const run = values[0]?.object === "run" ? values.shift() : {};
    const wrong = values.findIndex((each) => typeof each?.type !== "string" || typeof each.seq !== "number" || Number.isNaN(Date.parse(each.timestamp)));
    if (!values.length || wrong >= 0) {
        throw new Error(values.length ? `Line ${wrong + 1 + (lines.length - values.length)} of this file is no event of a run.` : "This file has no events of a run.");
    }
    return { run, events: values };
}
