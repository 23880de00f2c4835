// The runs of this key: those that go on, and the finished ones as long as the server keeps them.

import { cancel, json, messageOf } from "./api.js";
import { element } from "./dom.js";
import { read } from "./run_file.js";
import { outcomeOf } from "./run_log.js";
import { seconds } from "./words.js";

/** @typedef {import("./events.js").RunObject} RunObject */

const TITLES = ["Question", "Team", "State", "Began", "Took", "Tokens", "Stop"];
const MOST = 100;
const LOOK_EVERY_MS = 2000;

/**
 * @typedef {Object} Options
 * @property {(id: string) => void} onOpen
 * @property {(file: ReturnType<typeof read>) => void} onFile
 * @property {(text: string) => void} onProblem
 */

export class RunsView {
    /**
     * @param {import("./events.js").TeamObject[]} teams
     * @param {Options} options
     */
    constructor(teams, { onOpen, onFile, onProblem }) {
        this._teams = new Map(teams.map((team) => [team.id, team.name]));
        this._onOpen = onOpen;
        this._onFile = onFile;
        this._onProblem = onProblem;
        this._isClosed = false;
        this._told = "";
        this._rows = element("tbody", { role: "rowgroup" });
        this._empty = element("p", { hidden: true }, "There are no runs yet. ", element("a", { href: "./", "data-page": "teams" }, "Ask a team."));
        const chosen = element("input", { type: "file", accept: ".jsonl,.json,application/jsonl", onchange: () => this._open(chosen) });
        // A phone shows rows as blocks; the roles keep the table a table.
        const head = element("tr", { role: "row" }, TITLES.map((title) => element("th", { scope: "col", role: "columnheader" }, title)));
        this.view = element(
            "div",
            { class: "runs" },
            element("h1", null, "Runs"),
            element("label", { class: "file" }, "Open a downloaded run: ", chosen),
            element("div", { class: "wide" }, element("table", { role: "table" }, element("thead", { role: "rowgroup" }, head), this._rows)),
            this._empty,
        );
    }

    /** Look until `close`. */
    async live() {
        while (!this._isClosed) {
            if (!document.hidden) await this._look();
            await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
        }
    }

    close() {
        this._isClosed = true;
    }

    async _look() {
        try {
            const { data } = await json(`v1/runs?limit=${MOST}`);
            if (this._isClosed) return;
            this._show(data);
            if (this._hasFailed) this._onProblem("");
            this._hasFailed = false;
        } catch (error) {
            if (this._isClosed) return;
            this._hasFailed = true;
            this._onProblem(messageOf(error));
        }
    }

    /** @param {RunObject[]} runs */
    _show(runs) {
        const told = JSON.stringify(runs);
        if (told === this._told) return;
        this._told = told;
        const { activeElement } = document;
        const [row, name] = [activeElement?.closest("tr")?.dataset.run, activeElement?.localName];
        this._rows.replaceChildren(...runs.map((run) => this._row(run)));
        this._empty.hidden = runs.length > 0;
        // The focus stays where it was.
        const again = [...this._rows.children].find((each) => row && /** @type {HTMLElement} */ (each).dataset.run === row);
        /** @type {HTMLElement|null|undefined} */ (again?.querySelector(name ?? "a") ?? again?.querySelector("a"))?.focus();
    }

    /** @param {RunObject} run */
    _row(run) {
        const open = (/** @type {MouseEvent} */ event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
            event.preventDefault();
            this._onOpen(run.id);
        };
        const link = element("a", { href: `runs/${encodeURIComponent(run.id)}`, onclick: open }, run.question || run.id);
        const isLive = run.status === "running";
        const stop = isLive ? element("button", { type: "button", class: "stop", "aria-label": `Stop: ${run.question || run.id}`, onclick: (/** @type {Event} */ event) => this._stop(run, /** @type {HTMLButtonElement} */ (event.currentTarget)) }, "■") : "";
        const tokens = run.usage ? run.usage.total_tokens.toLocaleString("en") : "–";
        const state = element("span", { class: "state", "data-state": run.reason ?? "running", title: run.error?.message }, outcomeOf(run.reason));
        const began = new Date(run.created_at * 1000).toLocaleString();
        const cells = [link, this._teams.get(run.team ?? "") ?? run.team ?? run.model, state, began, run.duration_s === null ? "…" : seconds(run.duration_s), tokens, stop];
        return element("tr", { role: "row", "data-run": run.id }, cells.map((cell, index) => element("td", { role: "cell", class: `runs-${TITLES[index].toLowerCase()}` }, cell)));
    }

    /**
     * @param {RunObject} run
     * @param {HTMLButtonElement} button
     */
    async _stop(run, button) {
        button.disabled = true;
        try {
            await cancel(run.id);
        } catch (error) {
            this._onProblem(messageOf(error));
        }
        await this._look();
    }

    /** @param {HTMLInputElement} input */
    async _open(input) {
        const [file] = input.files ?? [];
        if (!file) return;
        try {
            this._onFile(read(await file.text()));
        } catch (error) {
            input.value = "";
            this._onProblem(error instanceof Error ? error.message : String(error));
        }
    }
}
